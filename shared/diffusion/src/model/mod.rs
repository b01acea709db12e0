//! The networks: CLIP text encoder, UNet, autoencoder, and the layers they share.

pub mod attention;
pub mod clip;
mod linear;
pub mod program;
pub mod resnet;
pub mod rrdb;
pub mod taesd;
pub mod transformer;
pub mod unet;
pub mod unet_blocks;
pub mod vae;

pub use linear::Linear;

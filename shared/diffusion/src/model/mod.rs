//! The networks: CLIP and T5 text encoders, UNet, autoencoder, and the layers they share.

pub mod attention;
pub mod clip;
mod linear;
pub mod resnet;
pub mod t5;
pub mod transformer;
pub mod unet;
pub mod unet_blocks;
pub mod vae;

pub use linear::Linear;

//! The networks: CLIP and T5 text encoders, UNet, MMDiT, autoencoder, and the layers they share.

mod alone;
pub mod attention;
pub mod clip;
mod conditioning;
mod gelu;
mod linear;
pub mod mmdit;
pub mod mmdit_block;
pub mod mmdit_embed;
pub mod program;
pub mod resnet;
pub mod rrdb;
pub mod t5;
pub mod taesd;
pub mod transformer;
pub mod unet;
pub mod unet_blocks;
pub mod vae;
pub mod vit;

pub use conditioning::Conditioning;
pub use gelu::gelu_tanh;
pub use linear::Linear;

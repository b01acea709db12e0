//! `vae/config.json` of an `AutoencoderKL`.

use super::{count, only};
use crate::LoadError;
use serde::Deserialize;

/// The autoencoder between pictures and latents.
#[derive(Clone, Debug, Deserialize)]
pub struct VaeConfig {
    /// Channels of each level, from the picture inwards.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks a level in the encoder; one more in the decoder.
    #[serde(default = "one")]
    pub layers_per_block: usize,
    /// Channels of the latents.
    #[serde(default = "four")]
    pub latent_channels: usize,
    /// Groups of the group norms.
    #[serde(default = "thirty_two")]
    pub norm_num_groups: usize,
    /// Latents are multiplied by it after encoding, divided by it before decoding.
    #[serde(default = "scaling")]
    pub scaling_factor: f32,
    /// Subtracted from latents after encoding, added before decoding.
    #[serde(default)]
    pub shift_factor: Option<f32>,
    /// A 1x1 convolution behind the encoder.
    #[serde(default = "yes")]
    pub use_quant_conv: bool,
    /// A 1x1 convolution before the decoder.
    #[serde(default = "yes")]
    pub use_post_quant_conv: bool,
    /// Attention in the middle.
    #[serde(default = "yes")]
    pub mid_block_add_attention: bool,
    /// Picture channels in.
    #[serde(default = "three")]
    pub in_channels: usize,
    /// Picture channels out.
    #[serde(default = "three")]
    pub out_channels: usize,
    /// A mean of latents a channel; not built.
    #[serde(default)]
    pub latents_mean: Option<Vec<f32>>,
    /// A deviation of latents a channel; not built.
    #[serde(default)]
    pub latents_std: Option<Vec<f32>>,
    /// The activation.
    #[serde(default = "silu")]
    pub act_fn: String,
    /// The levels of the encoder.
    #[serde(default)]
    pub down_block_types: Vec<String>,
    /// The levels of the decoder.
    #[serde(default)]
    pub up_block_types: Vec<String>,
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

fn four() -> usize {
    4
}

fn thirty_two() -> usize {
    32
}

fn scaling() -> f32 {
    0.18215
}

fn yes() -> bool {
    true
}

fn silu() -> String {
    "silu".to_owned()
}

impl VaeConfig {
    /// Pixels a latent position stands for: every level but the last halves the picture.
    pub fn factor(&self) -> u32 {
        1 << (self.block_out_channels.len().max(1) - 1)
    }

    /// # Errors
    /// A size that is zero or does not divide, or a variant that is not built.
    pub fn check(&self, file: &str) -> Result<(), LoadError> {
        only(file, "act_fn", &self.act_fn.as_str(), &"silu")?;
        only(file, "latents_mean", &self.latents_mean, &None)?;
        only(file, "latents_std", &self.latents_std, &None)?;
        only(file, "in_channels", &self.in_channels, &3)?;
        only(file, "out_channels", &self.out_channels, &3)?;
        for kind in &self.down_block_types {
            only(file, "down_block_types", &kind.as_str(), &"DownEncoderBlock2D")?;
        }
        for kind in &self.up_block_types {
            only(file, "up_block_types", &kind.as_str(), &"UpDecoderBlock2D")?;
        }
        count(file, "the number of block_out_channels", self.block_out_channels.len(), 8)?;
        count(file, "layers_per_block", self.layers_per_block, 16)?;
        count(file, "latent_channels", self.latent_channels, 64)?;
        count(file, "norm_num_groups", self.norm_num_groups, 1 << 12)?;
        for channels in &self.block_out_channels {
            count(file, "block_out_channels", *channels, 1 << 14)?;
            if !channels.is_multiple_of(self.norm_num_groups) {
                return Err(LoadError::bad(
                    file,
                    format!("block_out_channels {channels} is no multiple of norm_num_groups"),
                ));
            }
        }
        if !self.scaling_factor.is_finite() || self.scaling_factor == 0.0 {
            return Err(LoadError::bad(file, "scaling_factor must be a number other than 0"));
        }
        Ok(())
    }
}

//! `transformer/config.json` of an `SD3Transformer2DModel`.

use super::{count, only};
use crate::LoadError;
use serde::Deserialize;

/// How queries and keys are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QkNorm {
    /// By their root mean square (Zhang & Sennrich 2019), as SD3.5.
    RmsNorm,
}

/// The denoiser of Stable Diffusion 3 and 3.5.
#[derive(Clone, Debug, Deserialize)]
pub struct MmditConfig {
    /// Latent rows and columns that the model was trained for.
    #[serde(default = "side")]
    pub sample_size: usize,
    /// Latent rows and columns of a patch.
    #[serde(default = "two")]
    pub patch_size: usize,
    /// Channels of the latents that come in.
    #[serde(default = "sixteen")]
    pub in_channels: usize,
    /// Channels of the prediction; as many as come in where nothing is said.
    #[serde(default)]
    pub out_channels: Option<usize>,
    /// Joint blocks.
    pub num_layers: usize,
    /// Width of a head.
    #[serde(default = "sixty_four")]
    pub attention_head_dim: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Width of the prompt's states.
    #[serde(default = "states")]
    pub joint_attention_dim: usize,
    /// Width of the prompt's states inside; the model's own.
    pub caption_projection_dim: usize,
    /// Width of the pooled prompt.
    #[serde(default = "pooled")]
    pub pooled_projection_dim: usize,
    /// Rows and columns of patches in the table of positions.
    pub pos_embed_max_size: usize,
    /// The blocks in which patches also attend to themselves alone, as SD3.5 medium's first.
    #[serde(default)]
    pub dual_attention_layers: Vec<usize>,
    /// How queries and keys are normalised; not at all in SD3.
    #[serde(default)]
    pub qk_norm: Option<QkNorm>,
}

fn side() -> usize {
    128
}

fn two() -> usize {
    2
}

fn sixteen() -> usize {
    16
}

fn sixty_four() -> usize {
    64
}

fn states() -> usize {
    4096
}

fn pooled() -> usize {
    2048
}

impl MmditConfig {
    /// Width of a token.
    pub fn width(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }

    /// Channels of the prediction.
    pub fn predicted(&self) -> usize {
        self.out_channels.unwrap_or(self.in_channels)
    }

    /// Rows and columns of patches whose positions are read: half more than the model was trained for. The whole
    /// table of SD3.5 medium would be 0.9 GB.
    pub fn positions(&self) -> usize {
        (self.sample_size / self.patch_size * 3 / 2).min(self.pos_embed_max_size)
    }

    /// # Errors
    /// A size that is zero or absurd, or a variant that is not built.
    pub fn check(&self, file: &str) -> Result<(), LoadError> {
        count(file, "patch_size", self.patch_size, 16)?;
        count(file, "sample_size", self.sample_size, 1 << 12)?;
        count(file, "in_channels", self.in_channels, 64)?;
        count(file, "out_channels", self.predicted(), 64)?;
        count(file, "num_layers", self.num_layers, 256)?;
        count(file, "attention_head_dim", self.attention_head_dim, 1 << 10)?;
        count(file, "num_attention_heads", self.num_attention_heads, 1 << 10)?;
        count(file, "joint_attention_dim", self.joint_attention_dim, 1 << 14)?;
        count(file, "pooled_projection_dim", self.pooled_projection_dim, 1 << 14)?;
        count(file, "pos_embed_max_size", self.pos_embed_max_size, 1 << 11)?;
        if self.sample_size < self.patch_size {
            return Err(LoadError::bad(file, "sample_size is less than patch_size"));
        }
        if let Some(layer) = self.dual_attention_layers.iter().find(|layer| **layer >= self.num_layers) {
            return Err(LoadError::bad(file, format!("dual_attention_layers names {layer}, which is no layer")));
        }
        only(file, "caption_projection_dim", &self.caption_projection_dim, &self.width())
    }
}

//! `text_encoder/config.json` of a `CLIPTextModel`.

use super::count;
use crate::LoadError;
use serde::Deserialize;

/// The function between the two linear layers of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`, OpenAI's CLIP.
    QuickGelu,
    /// The exact Gaussian error linear unit, `OpenCLIP`.
    Gelu,
}

/// A CLIP text encoder.
#[derive(Clone, Debug, Deserialize)]
pub struct ClipConfig {
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Width of a token's state.
    pub hidden_size: usize,
    /// Width between the two linear layers.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// The most tokens, 77 for every published model.
    pub max_position_embeddings: usize,
    /// Function between the two linear layers.
    #[serde(default = "quick")]
    pub hidden_act: Activation,
    /// Added to the variance in layer norms.
    #[serde(default = "epsilon")]
    pub layer_norm_eps: f64,
    /// The token that ends a text. 2 marks an old configuration: the largest id ends the text.
    #[serde(default = "legacy_end")]
    pub eos_token_id: u32,
    /// Width of the projected output, where the weights have a projection.
    #[serde(default = "projection")]
    pub projection_dim: usize,
}

fn quick() -> Activation {
    Activation::QuickGelu
}

fn epsilon() -> f64 {
    1e-5
}

fn legacy_end() -> u32 {
    2
}

fn projection() -> usize {
    512
}

impl ClipConfig {
    /// # Errors
    /// A size that is zero, absurd or does not divide.
    pub fn check(&self, file: &str) -> Result<(), LoadError> {
        count(file, "vocab_size", self.vocab_size, 1 << 20)?;
        count(file, "hidden_size", self.hidden_size, 1 << 14)?;
        count(file, "intermediate_size", self.intermediate_size, 1 << 16)?;
        count(file, "num_hidden_layers", self.num_hidden_layers, 256)?;
        count(file, "num_attention_heads", self.num_attention_heads, 1 << 10)?;
        count(file, "max_position_embeddings", self.max_position_embeddings, 1 << 12)?;
        count(file, "projection_dim", self.projection_dim, 1 << 14)?;
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(LoadError::bad(file, "hidden_size is no multiple of num_attention_heads"));
        }
        Ok(())
    }
}

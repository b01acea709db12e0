//! `text_encoder_3/config.json` of a `T5EncoderModel`, version 1.1.

use super::count;
use crate::LoadError;
use serde::Deserialize;

/// The function between the linear layers of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum FeedForward {
    /// One half through the tanh approximation of GELU opens the gate for the other.
    #[serde(rename = "gated-gelu")]
    GatedGelu,
}

/// A T5 encoder.
#[derive(Clone, Debug, Deserialize)]
pub struct T5Config {
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Width of a token's state.
    pub d_model: usize,
    /// Width of one head's queries, keys and values.
    pub d_kv: usize,
    /// Width between the linear layers.
    pub d_ff: usize,
    /// Blocks.
    pub num_layers: usize,
    /// Attention heads; together they need not be as wide as a state.
    pub num_heads: usize,
    /// Function between the linear layers.
    pub feed_forward_proj: FeedForward,
    /// Kinds of distance that attention tells apart, both directions together.
    #[serde(default = "buckets")]
    pub relative_attention_num_buckets: usize,
    /// From this distance on all are of one kind.
    #[serde(default = "far")]
    pub relative_attention_max_distance: usize,
    /// Added to the mean square in norms.
    #[serde(default = "epsilon")]
    pub layer_norm_epsilon: f64,
}

fn buckets() -> usize {
    32
}

fn far() -> usize {
    128
}

fn epsilon() -> f64 {
    1e-6
}

impl T5Config {
    /// # Errors
    /// A size that is zero or absurd.
    pub fn check(&self, file: &str) -> Result<(), LoadError> {
        count(file, "vocab_size", self.vocab_size, 1 << 20)?;
        count(file, "d_model", self.d_model, 1 << 14)?;
        count(file, "d_kv", self.d_kv, 1 << 10)?;
        count(file, "d_ff", self.d_ff, 1 << 16)?;
        count(file, "num_layers", self.num_layers, 256)?;
        count(file, "num_heads", self.num_heads, 1 << 10)?;
        let (buckets, far) = (self.relative_attention_num_buckets, self.relative_attention_max_distance);
        count(file, "relative_attention_num_buckets", buckets, 1 << 10)?;
        count(file, "relative_attention_max_distance", far, 1 << 20)?;
        // Half the buckets a direction, half of these for single distances.
        if !buckets.is_multiple_of(4) || far <= buckets / 4 {
            let message = format!("{buckets} buckets do not fit a relative_attention_max_distance of {far}");
            return Err(LoadError::bad(file, message));
        }
        Ok(())
    }
}

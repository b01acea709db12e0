//! The encoder of T5 1.1 (Raffel et al. 2020; Shazeer 2020 for the gate), as transformers' `T5EncoderModel`.
//!
//! Norms are root mean squares (Zhang & Sennrich 2019), no layer has a bias, attention is not scaled
//! and knows positions by a learned number for each distance. The stream between the blocks grows
//! beyond what f16 holds, so that it must stay f32.

use super::{Linear, gelu_tanh};
use crate::{
    LoadError,
    config::T5Config,
    prompt::emphasise,
    tokenizer::Window,
    weights::{Load, Scope, Table, tensor},
};
use burn::tensor::{Device, Tensor, activation};
use fresco_kernels::plain::rows_at_once;
use std::sync::Arc;

/// Token ids to states.
pub struct T5 {
    config: T5Config,
    /// Stays on the host, as CLIP's tables do.
    tokens: Arc<Table>,
    /// `[buckets, heads]`, row by row, on the host: only what the positions ask for is uploaded.
    distances: Vec<f32>,
    blocks: Vec<Block>,
    last: RmsNorm,
    device: Device,
}

impl T5 {
    /// Reads the encoder from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut root: Scope<'_, impl Load>, config: T5Config, device: &Device) -> Result<Self, LoadError> {
        let table = root.spelled(&["shared", "encoder.embed_tokens"]);
        let tokens = root.at(table).table("weight", [config.vocab_size, config.d_model]).await?;
        let mut at = root.at("encoder");
        let shape = [config.relative_attention_num_buckets, config.num_heads];
        let name = "block.0.layer.0.SelfAttention.relative_attention_bias.weight";
        let distances = at.values(name, &shape).await?;
        let mut blocks = Vec::with_capacity(config.num_layers);
        for i in 0..config.num_layers {
            blocks.push(Block::load(at.at("block").at(i), &config).await?);
        }
        let last = RmsNorm::load(at.at("final_layer_norm"), &config).await?;
        Ok(Self { config, tokens, distances, blocks, last, device: device.clone() })
    }

    /// Width of a state.
    pub fn width(&self) -> usize {
        self.config.d_model
    }

    /// States of a batch of texts of equal length, `[n, tokens, width]`, with the weights of their
    /// tokens laid on. Padding is seen like any token, as Stable Diffusion 3 was trained.
    pub fn encode(&self, texts: &[Window]) -> Tensor<3> {
        let ids: Vec<&[u32]> = texts.iter().map(|text| text.ids.as_slice()).collect();
        let weights: Vec<&[f32]> = texts.iter().map(|text| text.weights.as_slice()).collect();
        emphasise(self.forward(&ids), &weights)
    }

    /// States of a batch of texts of equal length, `[n, tokens, width]`. Ids that are in no vocabulary
    /// count as the last one.
    pub fn forward(&self, texts: &[&[u32]]) -> Tensor<3> {
        let mut x = self.embed(texts);
        let bias = self.bias(texts.first().map_or(0, |text| text.len()));
        for block in &self.blocks {
            x = block.forward(x, &bias);
        }
        self.last.forward(x)
    }

    fn embed(&self, texts: &[&[u32]]) -> Tensor<3> {
        let width = self.config.d_model;
        let length = texts.first().map_or(0, |text| text.len());
        let mut values = Vec::with_capacity(texts.len() * length * width);
        for id in texts.iter().copied().flatten() {
            values.extend(self.tokens.row(*id as usize));
        }
        tensor(values, [texts.len(), length, width], &self.device)
    }

    /// What every block adds to its scores, `[1, heads, length, length]`: a number a head and distance.
    fn bias(&self, length: usize) -> Tensor<4> {
        let heads = self.config.num_heads;
        let (buckets, far) = (self.config.relative_attention_num_buckets, self.config.relative_attention_max_distance);
        let mut values = Vec::with_capacity(heads * length * length);
        let row = |distance: i64| bucket(distance, buckets, far) * heads;
        let rows: Vec<usize> = (1 - length as i64..length as i64).map(row).collect();
        for head in 0..heads {
            for query in 0..length {
                // Entry `length - 1` is distance 0.
                let seen = &rows[length - 1 - query..2 * length - 1 - query];
                values.extend(seen.iter().map(|row| self.distances[row + head]));
            }
        }
        tensor(values, [1, heads, length, length], &self.device)
    }
}

/// The kind of a distance (key's position less the query's), in both directions.
///
/// Half of a direction's kinds are single distances, the others grow by a constant factor up to `far`.
pub fn bucket(distance: i64, buckets: usize, far: usize) -> usize {
    let side = buckets / 2;
    let first = if distance > 0 { side } else { 0 };
    let size = distance.unsigned_abs() as usize;
    let exact = side / 2;
    if size < exact {
        return first + size;
    }
    // In f32 and in this order, as the reference rounds.
    let grown = (size as f32 / exact as f32).ln() / (far as f64 / exact as f64).ln() as f32 * (side - exact) as f32;
    first + (exact + grown as usize).min(side - 1)
}

struct Block {
    norm1: RmsNorm,
    attention: Attention,
    norm2: RmsNorm,
    gate: Linear,
    widen: Linear,
    narrow: Linear,
}

impl Block {
    async fn load(mut at: Scope<'_, impl Load>, config: &T5Config) -> Result<Self, LoadError> {
        let (width, wide) = (config.d_model, config.d_ff);
        Ok(Self {
            norm1: RmsNorm::load(at.at("layer.0.layer_norm"), config).await?,
            attention: Attention::load(at.at("layer.0.SelfAttention"), config).await?,
            norm2: RmsNorm::load(at.at("layer.1.layer_norm"), config).await?,
            gate: at.at("layer.1.DenseReluDense.wi_0").linear(width, wide, false).await?,
            widen: at.at("layer.1.DenseReluDense.wi_1").linear(width, wide, false).await?,
            narrow: at.at("layer.1.DenseReluDense.wo").linear(wide, width, false).await?,
        })
    }

    fn forward(&self, x: Tensor<3>, bias: &Tensor<4>) -> Tensor<3> {
        let x = x.clone() + self.attention.forward(self.norm1.forward(x), bias);
        let y = self.norm2.forward(x.clone());
        let y = gelu_tanh(self.gate.forward(y.clone())) * self.widen.forward(y);
        x + self.narrow.forward(y)
    }
}

struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl Attention {
    async fn load(mut at: Scope<'_, impl Load>, config: &T5Config) -> Result<Self, LoadError> {
        let (width, inner) = (config.d_model, config.num_heads * config.d_kv);
        Ok(Self {
            query: at.at("q").linear(width, inner, false).await?,
            key: at.at("k").linear(width, inner, false).await?,
            value: at.at("v").linear(width, inner, false).await?,
            out: at.at("o").linear(inner, width, false).await?,
            heads: config.num_heads,
        })
    }

    /// `x` `[n, s, width]` asks itself, so many queries at a time as keep the scores small.
    fn forward(&self, x: Tensor<3>, bias: &Tensor<4>) -> Tensor<3> {
        let [n, s, _] = x.dims();
        let (query, key) = (self.split(self.query.forward(x.clone())), self.split(self.key.forward(x.clone())));
        let value = self.split(self.value.forward(x));
        let ([_, heads, _, d], keys) = (query.dims(), key.transpose());
        let rows = rows_at_once(n, heads, s, s);
        let part = |start: usize| {
            let end = (start + rows).min(s);
            let scores = query.clone().slice([0..n, 0..heads, start..end, 0..d]).matmul(keys.clone());
            let scores = scores + bias.clone().slice([0..1, 0..heads, start..end, 0..s]);
            activation::softmax(scores, 3).matmul(value.clone())
        };
        let y = Tensor::cat((0..s).step_by(rows).map(part).collect(), 2);
        self.out.forward(y.swap_dims(1, 2).reshape([n, s, heads * d]))
    }

    /// `[n, s, inner]` to `[n, heads, s, inner / heads]`.
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [n, s, inner] = x.dims();
        x.reshape([n, s, self.heads, inner / self.heads]).swap_dims(1, 2)
    }
}

/// `x / sqrt(mean(x²) + epsilon)`, scaled.
struct RmsNorm {
    gamma: Tensor<1>,
    epsilon: f64,
}

impl RmsNorm {
    async fn load(mut at: Scope<'_, impl Load>, config: &T5Config) -> Result<Self, LoadError> {
        Ok(Self { gamma: at.vector("weight", config.d_model).await?, epsilon: config.layer_norm_epsilon })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let width = self.gamma.dims()[0];
        let size = (x.clone().square().mean_dim(2) + self.epsilon).sqrt();
        x / size * self.gamma.clone().reshape([1, 1, width])
    }
}

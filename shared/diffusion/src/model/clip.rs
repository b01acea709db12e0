//! The text encoder of CLIP (Radford et al. 2021), as transformers' `CLIPTextModel`.

use super::{
    Linear,
    attention::{self, Attention, CLIP},
};
use crate::{
    LoadError,
    config::{Activation, ClipConfig},
    weights::{Load, Scope, tensor},
};
use burn::tensor::{Device, Tensor, activation};
use fresco_kernels::{Kernels, Norm};

/// Token ids to states.
pub struct Clip {
    config: ClipConfig,
    /// Tables stay on the host: a table of a large model is bigger than what some GPUs bind, and a
    /// prompt needs 77 of its rows.
    tokens: Vec<f32>,
    positions: Vec<f32>,
    blocks: Vec<Block>,
    last: Norm,
    device: Device,
}

/// What the encoder says about a batch of texts.
pub struct Encoded {
    /// The states behind the last norm, `[n, tokens, width]`.
    pub states: Tensor<3>,
    /// The states before the last block, `[n, tokens, width]`, not normalised.
    pub penultimate: Tensor<3>,
    /// The state of each text's end token, `[n, width]`.
    pub pooled: Tensor<2>,
}

impl Clip {
    /// Reads the encoder from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut root: Scope<'_, impl Load>, config: ClipConfig, device: &Device) -> Result<Self, LoadError> {
        // transformers 5 dropped the prefix that every published checkpoint has.
        let prefixed = root.has("text_model.embeddings.token_embedding.weight");
        if prefixed {
            let model = root.at("text_model");
            return Self::load_model(model, config, device).await;
        }
        Self::load_model(root, config, device).await
    }

    async fn load_model(mut at: Scope<'_, impl Load>, config: ClipConfig, device: &Device) -> Result<Self, LoadError> {
        let (width, epsilon) = (config.hidden_size, config.layer_norm_eps);
        let mut tables = at.at("embeddings");
        let tokens = tables.values("token_embedding.weight", &[config.vocab_size, width]).await?;
        let positions = tables.values("position_embedding.weight", &[config.max_position_embeddings, width]).await?;
        let mut blocks = Vec::with_capacity(config.num_hidden_layers);
        for i in 0..config.num_hidden_layers {
            blocks.push(Block::load(at.at("encoder.layers").at(i), &config).await?);
        }
        let last = at.at("final_layer_norm").norm(width, epsilon).await?;
        Ok(Self { config, tokens, positions, blocks, last, device: device.clone() })
    }

    /// The most tokens of a text.
    pub fn length(&self) -> usize {
        self.config.max_position_embeddings
    }

    /// States of a batch of texts of equal length. Ids that are in no vocabulary count as the last one.
    pub fn forward(&self, k: &dyn Kernels, texts: &[Vec<u32>]) -> Encoded {
        let mut x = self.embed(texts);
        let mut penultimate = x.clone();
        for block in &self.blocks {
            penultimate = x.clone();
            x = block.forward(k, x);
        }
        let states = k.layer_norm(x, &self.last);
        let pooled = self.pool(states.clone(), texts);
        Encoded { states, penultimate, pooled }
    }

    /// Token and position embeddings, `[n, tokens, width]`.
    fn embed(&self, texts: &[Vec<u32>]) -> Tensor<3> {
        let width = self.config.hidden_size;
        let length = texts.first().map_or(0, Vec::len);
        let mut values = Vec::with_capacity(texts.len() * length * width);
        for text in texts {
            for (id, position) in text.iter().zip(self.positions.chunks_exact(width)) {
                let row = (*id as usize).min(self.config.vocab_size - 1) * width;
                values.extend(self.tokens[row..row + width].iter().zip(position).map(|(token, place)| token + place));
            }
        }
        tensor(values, [texts.len(), length, width], &self.device)
    }

    /// The state at each text's end: the first end token, or in old configurations the largest id.
    fn pool(&self, states: Tensor<3>, texts: &[Vec<u32>]) -> Tensor<2> {
        let [_, _, width] = states.dims();
        let rows = texts.iter().enumerate().map(|(i, text)| {
            let end = self.end(text);
            states.clone().slice([i..i + 1, end..end + 1, 0..width]).reshape([1, width])
        });
        Tensor::cat(rows.collect(), 0)
    }

    fn end(&self, text: &[u32]) -> usize {
        let end = match self.config.eos_token_id {
            2 => text.iter().max().copied().unwrap_or_default(),
            end => end,
        };
        text.iter().position(|id| *id == end).unwrap_or(0)
    }
}

struct Block {
    norm1: Norm,
    attention: Attention,
    norm2: Norm,
    widen: Linear,
    narrow: Linear,
    activation: Activation,
}

impl Block {
    async fn load(mut at: Scope<'_, impl Load>, config: &ClipConfig) -> Result<Self, LoadError> {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let sizes = attention::Sizes { width, context: width, heads: config.num_attention_heads, bias: true };
        Ok(Self {
            norm1: at.at("layer_norm1").norm(width, config.layer_norm_eps).await?,
            attention: Attention::load(at.at("self_attn"), &CLIP, sizes).await?,
            norm2: at.at("layer_norm2").norm(width, config.layer_norm_eps).await?,
            widen: at.at("mlp.fc1").linear(width, wide, true).await?,
            narrow: at.at("mlp.fc2").linear(wide, width, true).await?,
            activation: config.hidden_act,
        })
    }

    fn forward(&self, k: &dyn Kernels, x: Tensor<3>) -> Tensor<3> {
        let y = k.layer_norm(x.clone(), &self.norm1);
        let x = x + self.attention.forward(k, y.clone(), y, true);
        let y = self.widen.forward(k.layer_norm(x.clone(), &self.norm2));
        let y = match self.activation {
            Activation::Gelu => activation::gelu(y),
            Activation::QuickGelu => y.clone() * activation::sigmoid(y * 1.702),
        };
        x + self.narrow.forward(y)
    }
}

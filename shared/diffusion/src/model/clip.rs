//! The text encoder of CLIP (Radford et al. 2021), as transformers' `CLIPTextModel`.

use super::{
    Linear,
    attention::{self, Attention, CLIP},
};
use crate::{
    LoadError,
    config::{Activation, ClipConfig},
    prompt::emphasise,
    tokenizer::Window,
    weights::{Load, Scope, Table, tensor},
};
use burn::tensor::{Device, Tensor, activation};
use fresco_kernels::{Kernels, Norm};
use std::{borrow::Cow, sync::Arc};

/// Token ids to states.
pub struct Clip {
    config: ClipConfig,
    /// Tables stay on the host: a table of a large model is bigger than what some GPUs bind, and a
    /// prompt needs 77 of its rows.
    tokens: Arc<Table>,
    positions: Vec<f32>,
    /// Vectors of learned words, one after the other: their ids follow the vocabulary's.
    learned: Vec<f32>,
    blocks: Vec<Block>,
    last: Norm,
    /// `text_projection`, where the file has it.
    projection: Option<Linear>,
    device: Device,
}

/// Which states a denoiser is conditioned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Blocks left out at the end; more than there are leave the embeddings.
    pub skipped: usize,
    /// Whether the last norm is applied.
    pub norm: bool,
}

impl Layer {
    /// Stable Diffusion 1 and 2: the last block's states, normalised.
    pub const LAST: Self = Self { skipped: 0, norm: true };
    /// Stable Diffusion XL and 3: the states before the last block, not normalised.
    pub const PENULTIMATE: Self = Self { skipped: 1, norm: false };

    /// The layer for a clip skip as AUTOMATIC1111's web UI counts it: 1, like 0, is the last block, 2 leaves one
    /// out. A layer that leaves out more by itself stays. (diffusers counts from 0, and from the
    /// model's own layer.)
    pub fn clip_skip(self, skip: usize) -> Self {
        Self { skipped: self.skipped.max(skip.saturating_sub(1)), ..self }
    }
}

/// What the encoder says about a batch of texts.
pub struct Encoded {
    /// The states behind the last norm, `[n, tokens, width]`.
    pub states: Tensor<3>,
    /// The states before the last block, `[n, tokens, width]`, not normalised.
    pub penultimate: Tensor<3>,
    /// The state of each text's end token, `[n, width]`.
    pub pooled: Tensor<2>,
    /// The pooled state projected, `[n, projection_dim]`, where the weights have a projection.
    pub projected: Option<Tensor<2>>,
}

/// What a batch of prompts says to a denoiser.
pub struct Conditioning {
    /// The states of all windows one after the other, weighted, `[n, windows * tokens, width]`.
    pub states: Tensor<3>,
    /// The state of the first window's end token, behind the last norm, `[n, width]`.
    pub pooled: Tensor<2>,
    /// The pooled state projected, `[n, projection_dim]`, where the weights have a projection.
    pub projected: Option<Tensor<2>>,
}

impl Clip {
    /// Reads the encoder from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut root: Scope<'_, impl Load>, config: ClipConfig, device: &Device) -> Result<Self, LoadError> {
        let projection = match root.has("text_projection.weight") {
            true => Some(root.at("text_projection").linear(config.hidden_size, config.projection_dim, false).await?),
            false => None,
        };
        // transformers 5 dropped the prefix that every published checkpoint has.
        let prefixed = root.has("text_model.embeddings.token_embedding.weight");
        let mut clip = match prefixed {
            true => Self::load_model(root.at("text_model"), config, device).await?,
            false => Self::load_model(root, config, device).await?,
        };
        clip.projection = projection;
        Ok(clip)
    }

    async fn load_model(mut at: Scope<'_, impl Load>, config: ClipConfig, device: &Device) -> Result<Self, LoadError> {
        let (width, epsilon) = (config.hidden_size, config.layer_norm_eps);
        let mut tables = at.at("embeddings");
        let tokens = tables.table("token_embedding.weight", [config.vocab_size, width]).await?;
        let positions = tables.values("position_embedding.weight", &[config.max_position_embeddings, width]).await?;
        let mut blocks = Vec::with_capacity(config.num_hidden_layers);
        for i in 0..config.num_hidden_layers {
            blocks.push(Block::load(at.at("encoder.layers").at(i), &config).await?);
        }
        let last = at.at("final_layer_norm").norm(width, epsilon).await?;
        let (learned, projection, device) = (Vec::new(), None, device.clone());
        Ok(Self { config, tokens, positions, learned, blocks, last, projection, device })
    }

    /// The most tokens of a text.
    pub fn length(&self) -> usize {
        self.config.max_position_embeddings
    }

    /// Width of a state.
    pub fn width(&self) -> usize {
        self.config.hidden_size
    }

    /// Blocks: a clip skip may be as large.
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// Takes vectors of a learned word, one after the other, and gives the ids that stand for them.
    pub fn learn(&mut self, vectors: &[f32]) -> Vec<u32> {
        let width = self.config.hidden_size;
        let first = (self.config.vocab_size + self.learned.len() / width) as u32;
        self.learned.extend(vectors.chunks_exact(width).flatten());
        (first..).take(vectors.len() / width).collect()
    }

    /// Forgets every learned vector. The tokenizer must forget their ids too.
    pub fn forget(&mut self) {
        self.learned = Vec::new();
    }

    /// A batch of prompts, each of the same number of windows (see [`crate::tokenizer::Tokenizer::batch`]).
    ///
    /// The states of `layer`, weighted token by token, window by window.
    pub fn encode(&self, k: &dyn Kernels, prompts: &[Vec<Window>], layer: Layer) -> Conditioning {
        let windows: Vec<&Window> = prompts.iter().flatten().collect();
        let ids: Vec<&[u32]> = windows.iter().map(|window| window.ids.as_slice()).collect();
        let weights: Vec<&[f32]> = windows.iter().map(|window| window.weights.as_slice()).collect();
        let Seen { last, kept } = self.blocks(k, &ids, layer.skipped);
        let normed = k.layer_norm(last, &self.last);
        let states = match layer {
            Layer::LAST => normed.clone(),
            Layer { norm: true, .. } => k.layer_norm(kept, &self.last),
            Layer { norm: false, .. } => kept,
        };
        let states = emphasise(states, &weights);
        let [all, tokens, width] = states.dims();
        let n = prompts.len();
        let count = all / n.max(1);
        let first: Vec<(usize, &[u32])> = ids.iter().copied().enumerate().step_by(count.max(1)).collect();
        let pooled = self.pool(&normed, &first);
        let projected = self.project(&pooled);
        Conditioning { states: states.reshape([n, count * tokens, width]), pooled, projected }
    }

    /// States of a batch of texts of equal length. Ids that are in no vocabulary count as the last one.
    pub fn forward(&self, k: &dyn Kernels, texts: &[Vec<u32>]) -> Encoded {
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let Seen { last, kept: penultimate } = self.blocks(k, &texts, 1);
        let states = k.layer_norm(last, &self.last);
        let pooled = self.pool(&states, &texts.iter().copied().enumerate().collect::<Vec<_>>());
        let projected = self.project(&pooled);
        Encoded { states, penultimate, pooled, projected }
    }

    /// Runs the blocks and keeps the states before the last `skipped` of them too.
    fn blocks(&self, k: &dyn Kernels, texts: &[&[u32]], skipped: usize) -> Seen {
        let mut x = self.embed(texts);
        let mut kept = x.clone();
        let left = self.blocks.len().saturating_sub(skipped);
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(k, x);
            if i < left {
                kept = x.clone();
            }
        }
        Seen { last: x, kept }
    }

    /// Token and position embeddings, `[n, tokens, width]`.
    fn embed(&self, texts: &[&[u32]]) -> Tensor<3> {
        let width = self.config.hidden_size;
        let length = texts.first().map_or(0, |text| text.len());
        let mut values = Vec::with_capacity(texts.len() * length * width);
        for text in texts {
            for (id, position) in text.iter().zip(self.positions.chunks_exact(width)) {
                values.extend(self.row(*id).iter().zip(position).map(|(token, place)| token + place));
            }
        }
        tensor(values, [texts.len(), length, width], &self.device)
    }

    /// The embedding of a token or of a learned word's vector.
    fn row(&self, id: u32) -> Cow<'_, [f32]> {
        let (width, vocabulary) = (self.config.hidden_size, self.config.vocab_size);
        let learned = (id as usize).checked_sub(vocabulary);
        let learned = learned.and_then(|i| self.learned.get(i * width..(i + 1) * width));
        learned.map_or_else(|| Cow::Owned(self.tokens.row(id as usize)), Cow::Borrowed)
    }

    /// The state at each text's end, `[texts, width]`; a text comes with its row of `states`.
    fn pool(&self, states: &Tensor<3>, texts: &[(usize, &[u32])]) -> Tensor<2> {
        let [_, _, width] = states.dims();
        let rows = texts.iter().map(|(i, text)| {
            let end = self.end(text);
            states.clone().slice([*i..i + 1, end..end + 1, 0..width]).reshape([1, width])
        });
        Tensor::cat(rows.collect(), 0)
    }

    fn project(&self, pooled: &Tensor<2>) -> Option<Tensor<2>> {
        let [n, width] = pooled.dims();
        let projected = self.projection.as_ref()?.forward(pooled.clone().reshape([n, 1, width]));
        let [_, _, to] = projected.dims();
        Some(projected.reshape([n, to]))
    }

    /// The first end token, or in old configurations the largest id of the vocabulary.
    fn end(&self, text: &[u32]) -> usize {
        let known = |id: &&u32| (**id as usize) < self.config.vocab_size;
        let end = match self.config.eos_token_id {
            2 => text.iter().filter(known).max().copied().unwrap_or_default(),
            end => end,
        };
        text.iter().position(|id| *id == end).unwrap_or(0)
    }
}

/// States at two depths, `[texts, tokens, width]`, not normalised.
struct Seen {
    last: Tensor<3>,
    kept: Tensor<3>,
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

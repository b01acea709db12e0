//! The spatial transformer of the UNet: pixels attend to each other and to the prompt.

use super::{
    Linear,
    attention::{self, Attention, DIFFUSERS, Shared},
};
use crate::{
    LoadError,
    weights::{Load, Scope},
};
use burn::tensor::{Tensor, activation};
use fresco_kernels::{Kernels, Norm};

/// Added to the variance in the norm before the transformer; not the residual blocks' value.
const ENTRY_EPSILON: f64 = 1e-6;
/// Added to the variance in the layer norms.
const EPSILON: f64 = 1e-5;

/// Norm, projection, blocks, projection, and the input added.
#[derive(Clone, Debug)]
pub struct Transformer {
    norm: Norm,
    groups: usize,
    enter: Linear,
    blocks: Vec<Block>,
    leave: Linear,
}

/// The sizes of a transformer.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Channels.
    pub channels: usize,
    /// Heads.
    pub heads: usize,
    /// Width of the prompt's states.
    pub context: usize,
    /// Blocks.
    pub depth: usize,
    /// Groups of the norm before it.
    pub groups: usize,
}

impl Transformer {
    /// Reads the layer from `at`.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, sizes: Sizes) -> Result<Self, LoadError> {
        let Sizes { channels, depth, groups, .. } = sizes;
        let mut blocks = Vec::with_capacity(depth);
        for i in 0..depth {
            blocks.push(Block::load(at.at("transformer_blocks").at(i), sizes).await?);
        }
        Ok(Self {
            norm: at.at("norm").norm(channels, ENTRY_EPSILON).await?,
            groups,
            // A 1x1 convolution or a linear layer: the same product in NHWC.
            enter: at.at("proj_in").linear(channels, channels, true).await?,
            blocks,
            leave: at.at("proj_out").linear(channels, channels, true).await?,
        })
    }

    /// `x` `[n, h, w, c]`, `context` `[n, t, width]`.
    pub fn forward(&self, k: &dyn Kernels, x: Tensor<4>, context: &Tensor<3>, shared: Option<Shared>) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        let y = k.group_norm(x.clone(), &self.norm, self.groups, false).reshape([n, h * w, c]);
        let y = self.enter.forward(y);
        let y = self.blocks.iter().fold(y, |y, block| block.forward(k, y, context, shared));
        x + self.leave.forward(y).reshape([n, h, w, c])
    }
}

#[derive(Clone, Debug)]
struct Block {
    norm1: Norm,
    to_itself: Attention,
    norm2: Norm,
    to_prompt: Attention,
    norm3: Norm,
    widen: Linear,
    narrow: Linear,
}

impl Block {
    async fn load(mut at: Scope<'_, impl Load>, sizes: Sizes) -> Result<Self, LoadError> {
        let Sizes { channels: width, heads, context, .. } = sizes;
        let own = attention::Sizes { width, context: width, heads, bias: false };
        let prompt = attention::Sizes { context, ..own };
        Ok(Self {
            norm1: at.at("norm1").norm(width, EPSILON).await?,
            to_itself: Attention::load(at.at("attn1"), &DIFFUSERS, own).await?,
            norm2: at.at("norm2").norm(width, EPSILON).await?,
            to_prompt: Attention::load(at.at("attn2"), &DIFFUSERS, prompt).await?,
            norm3: at.at("norm3").norm(width, EPSILON).await?,
            widen: at.at("ff.net.0.proj").linear(width, 8 * width, true).await?,
            narrow: at.at("ff.net.2").linear(4 * width, width, true).await?,
        })
    }

    fn forward(&self, k: &dyn Kernels, x: Tensor<3>, context: &Tensor<3>, shared: Option<Shared>) -> Tensor<3> {
        let y = k.layer_norm(x.clone(), &self.norm1);
        let x = x + match shared {
            Some(shared) => self.to_itself.forward_shared(k, y, shared),
            None => self.to_itself.forward(k, y.clone(), y, false),
        };
        let y = k.layer_norm(x.clone(), &self.norm2);
        let x = x + self.to_prompt.forward(k, y, context.clone(), false);
        let y = self.widen.forward(k.layer_norm(x.clone(), &self.norm3));
        x + self.narrow.forward(geglu(y))
    }
}

/// Half of the channels, gated by the exact GELU of the other half (Shazeer 2020).
fn geglu(x: Tensor<3>) -> Tensor<3> {
    let [n, s, c] = x.dims();
    let values = x.clone().slice([0..n, 0..s, 0..c / 2]);
    let gate = x.slice([0..n, 0..s, c / 2..c]);
    values * activation::gelu(gate)
}

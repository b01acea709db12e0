//! The vision transformer (Dosovitskiy et al. 2021), as transformers' `ViTForImageClassification`.

use super::{
    Linear,
    attention::{self, Attention, VIT},
};
use crate::{
    LoadError,
    config::VitConfig,
    weights::{Load, Scope, tensor},
};
use burn::tensor::{Device, Tensor, activation};
use fresco_kernels::{Conv2d, Kernels, Norm, Padding};

/// Pictures to what they show.
pub struct Vit {
    patches: Conv2d,
    /// The state that asks on behalf of the whole picture, and every position's, `[1, 1 + patches, width]`.
    first: Tensor<3>,
    positions: Tensor<3>,
    blocks: Vec<Block>,
    last: Norm,
    head: Linear,
}

struct Block {
    norm1: Norm,
    attention: Attention,
    norm2: Norm,
    widen: Linear,
    narrow: Linear,
}

impl Vit {
    /// Reads it from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut root: Scope<'_, impl Load>, config: &VitConfig, device: &Device) -> Result<Self, LoadError> {
        let (width, states) = (config.width, 1 + config.patches());
        let head = root.at("classifier").linear(width, config.labels.len(), true).await?;
        let mut at = root.at("vit");
        let mut tables = at.at("embeddings");
        let first = tables.values("cls_token", &[1, 1, width]).await?;
        let positions = tables.values("position_embeddings", &[1, states, width]).await?;
        let projection = tables.at("patch_embeddings.projection");
        let patches = { projection }.conv2d((3, width), config.patch, config.patch, Padding::same(0)).await?;
        let mut blocks = Vec::with_capacity(config.depth);
        for i in 0..config.depth {
            blocks.push(Block::load(at.at("layers").at(i), config).await?);
        }
        Ok(Self {
            patches,
            first: tensor(first, [1, 1, width], device),
            positions: tensor(positions, [1, states, width], device),
            blocks,
            last: at.at("layernorm").norm(width, config.epsilon).await?,
            head,
        })
    }

    /// Normalised pictures `[n, side, side, 3]` to `[n, labels]`, before a softmax.
    pub fn forward(&self, k: &dyn Kernels, pictures: Tensor<4>) -> Tensor<2> {
        let x = k.conv2d(pictures, &self.patches);
        let [n, h, w, width] = x.dims();
        let first = self.first.clone().repeat_dim(0, n);
        let x = Tensor::cat(vec![first, x.reshape([n, h * w, width])], 1) + self.positions.clone();
        let x = self.blocks.iter().fold(x, |x, block| block.forward(k, x));
        let y = self.head.forward(k.layer_norm(x.narrow(1, 0, 1), &self.last));
        let [_, _, labels] = y.dims();
        y.reshape([n, labels])
    }
}

impl Block {
    async fn load(mut at: Scope<'_, impl Load>, config: &VitConfig) -> Result<Self, LoadError> {
        let (width, wide) = (config.width, config.wide);
        let sizes = attention::Sizes { width, context: width, heads: config.heads, bias: true };
        Ok(Self {
            norm1: at.at("layernorm_before").norm(width, config.epsilon).await?,
            attention: Attention::load(at.at("attention"), &VIT, sizes).await?,
            norm2: at.at("layernorm_after").norm(width, config.epsilon).await?,
            widen: at.at("mlp.fc1").linear(width, wide, true).await?,
            narrow: at.at("mlp.fc2").linear(wide, width, true).await?,
        })
    }

    fn forward(&self, k: &dyn Kernels, x: Tensor<3>) -> Tensor<3> {
        let y = k.layer_norm(x.clone(), &self.norm1);
        let x = x + self.attention.forward(k, y.clone(), y, false);
        let y = self.widen.forward(k.layer_norm(x.clone(), &self.norm2));
        x + self.narrow.forward(activation::gelu(y))
    }
}

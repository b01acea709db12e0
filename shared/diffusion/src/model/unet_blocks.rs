//! The levels of the UNet on the way down and up.

use super::{
    attention::Shared,
    resnet::{self, Resnet, Upsample},
    transformer::Transformer,
    unet::{residual, spatial},
};
use crate::{
    LoadError,
    config::UNetConfig,
    weights::{Load, Scope},
};
use burn::tensor::Tensor;
use fresco_kernels::{Conv2d, Kernels, Padding};

/// A residual block, with attention to the prompt on some levels.
struct Layer {
    resnet: Resnet,
    transformer: Option<Transformer>,
}

impl Layer {
    async fn load(
        at: &mut Scope<'_, impl Load>,
        i: usize,
        sizes: resnet::Sizes,
        attention: Option<super::transformer::Sizes>,
    ) -> Result<Self, LoadError> {
        let resnet = Resnet::load(at.at("resnets").at(i), sizes).await?;
        let transformer = match attention {
            Some(sizes) => Some(Transformer::load(at.at("attentions").at(i), sizes).await?),
            None => None,
        };
        Ok(Self { resnet, transformer })
    }

    fn forward(
        &self,
        k: &dyn Kernels,
        x: Tensor<4>,
        time: &Tensor<2>,
        context: &Tensor<3>,
        shared: Option<Shared>,
    ) -> Tensor<4> {
        let x = self.resnet.forward(k, x, Some(time));
        match &self.transformer {
            Some(transformer) => transformer.forward(k, x, context, shared),
            None => x,
        }
    }
}

/// A level on the way down: every layer's output is kept for the way up.
pub struct Down {
    layers: Vec<Layer>,
    shrink: Option<Conv2d>,
}

impl Down {
    /// Reads the layer from `at`.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, config: &UNetConfig, level: usize) -> Result<Self, LoadError> {
        let channels = &config.block_out_channels;
        let to = channels[level];
        let attention = config.down_block_types[level].has_attention().then(|| spatial(config, level));
        let mut layers = Vec::new();
        for i in 0..config.layers_per_block.of(level) {
            let from = if i > 0 { to } else { channels[level.saturating_sub(1)] };
            layers.push(Layer::load(&mut at, i, residual(config, from, to), attention).await?);
        }
        let shrink = match level + 1 < channels.len() {
            true => Some(resnet::downsample(at, to, Padding::same(1)).await?),
            false => None,
        };
        Ok(Self { layers, shrink })
    }

    /// `x` `[n, h, w, c]` through the level; `skips` is what the way up takes from the way down.
    pub fn forward(
        &self,
        k: &dyn Kernels,
        x: Tensor<4>,
        time: &Tensor<2>,
        context: &Tensor<3>,
        shared: Option<Shared>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        let mut x = x;
        for layer in &self.layers {
            x = layer.forward(k, x, time, context, shared);
            skips.push(x.clone());
        }
        if let Some(shrink) = &self.shrink {
            x = k.conv2d(x, shrink);
            skips.push(x.clone());
        }
        x
    }
}

/// A level on the way up: each layer sees what was kept on the way down.
pub struct Up {
    layers: Vec<Layer>,
    grow: Option<Upsample>,
}

impl Up {
    /// Reads the layer from `at`; `step` counts from the lowest resolution.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, config: &UNetConfig, step: usize) -> Result<Self, LoadError> {
        let channels = &config.block_out_channels;
        let level = channels.len() - 1 - step;
        let (to, below) = (channels[level], channels[(level + 1).min(channels.len() - 1)]);
        let attention = config.up_block_types[step].has_attention().then(|| spatial(config, level));
        let count = config.layers_per_block.of(level) + 1;
        let mut layers = Vec::new();
        for i in 0..count {
            // The last skip of a level is what came into it on the way down.
            let skip = if i + 1 == count { channels[level.saturating_sub(1)] } else { to };
            let from = if i == 0 { below } else { to };
            layers.push(Layer::load(&mut at, i, residual(config, from + skip, to), attention).await?);
        }
        let grow = match level > 0 {
            true => Some(Upsample::load(at, to).await?),
            false => None,
        };
        Ok(Self { layers, grow })
    }

    /// `x` `[n, h, w, c]` through the level; `skips` is what the way up takes from the way down.
    pub fn forward(
        &self,
        k: &dyn Kernels,
        x: Tensor<4>,
        time: &Tensor<2>,
        context: &Tensor<3>,
        shared: Option<Shared>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        let mut x = x;
        for layer in &self.layers {
            let joined = skips.pop().into_iter().fold(x, |x, skip| Tensor::cat(vec![x, skip], 3));
            x = layer.forward(k, joined, time, context, shared);
        }
        match &self.grow {
            Some(grow) => {
                let size = skips.last().map(|skip| [skip.dims()[1], skip.dims()[2]]);
                grow.forward(k, x, size)
            }
            None => x,
        }
    }
}

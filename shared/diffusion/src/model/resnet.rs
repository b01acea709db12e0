//! The residual block of UNet and autoencoder, and the steps between resolutions.

use super::{Linear, program::Op};
use crate::{
    LoadError,
    weights::{Load, Scope},
};
use burn::tensor::{Tensor, activation};
use fresco_kernels::{Conv2d, Kernels, Norm, Padding};

/// Norm, SiLU, convolution, twice; the timestep's embedding is added in between.
#[derive(Clone, Debug)]
pub struct Resnet {
    norm1: Norm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: Norm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
    groups: usize,
}

/// The sizes of a residual block.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Channels in.
    pub from: usize,
    /// Channels out.
    pub to: usize,
    /// Width of the timestep's embedding, where there is one.
    pub time: Option<usize>,
    /// Groups of the norms.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Resnet {
    /// Reads the layer from `at`.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, sizes: Sizes) -> Result<Self, LoadError> {
        let Sizes { from, to, time, groups, epsilon } = sizes;
        let same = Padding::same(1);
        let time = match time {
            Some(width) => Some(at.at("time_emb_proj").linear(width, to, true).await?),
            None => None,
        };
        let shortcut = match from == to {
            true => None,
            false => Some(at.at("conv_shortcut").conv2d((from, to), 1, 1, Padding::same(0)).await?),
        };
        Ok(Self {
            norm1: at.at("norm1").norm(from, epsilon).await?,
            conv1: at.at("conv1").conv2d((from, to), 3, 1, same).await?,
            time,
            norm2: at.at("norm2").norm(to, epsilon).await?,
            conv2: at.at("conv2").conv2d((to, to), 3, 1, same).await?,
            shortcut,
            groups,
        })
    }

    /// `x` `[n, h, w, from]` to `[n, h, w, to]`; `time` is the embedding `[n, width]`.
    pub fn forward(&self, k: &dyn Kernels, x: Tensor<4>, time: Option<&Tensor<2>>) -> Tensor<4> {
        let y = k.conv2d(k.group_norm(x.clone(), &self.norm1, self.groups, true), &self.conv1);
        let y = match (&self.time, time) {
            (Some(layer), Some(time)) => y + per_picture(layer, time),
            _ => y,
        };
        let y = k.conv2d(k.group_norm(y, &self.norm2, self.groups, true), &self.conv2);
        match &self.shortcut {
            Some(shortcut) => k.conv2d(x, shortcut) + y,
            None => x + y,
        }
    }
}

impl Resnet {
    /// The block as a list, without a timestep.
    pub fn ops(&self) -> [Op<'_>; 6] {
        [
            Op::Keep,
            Op::Norm(&self.norm1, self.groups),
            Op::Conv(&self.conv1),
            Op::Norm(&self.norm2, self.groups),
            Op::Conv(&self.conv2),
            Op::Add(self.shortcut.as_ref()),
        ]
    }
}

/// The timestep's contribution `[n, 1, 1, to]`.
fn per_picture(layer: &Linear, time: &Tensor<2>) -> Tensor<4> {
    let [n, width] = time.dims();
    let time = activation::silu(time.clone()).reshape([n, 1, width]);
    let y = layer.forward(time);
    let [_, _, to] = y.dims();
    y.reshape([n, 1, 1, to])
}

/// Half the resolution by a strided convolution; `padding` differs between UNet and autoencoder.
pub async fn downsample(mut at: Scope<'_, impl Load>, channels: usize, padding: Padding) -> Result<Conv2d, LoadError> {
    at.at("downsamplers.0.conv").conv2d((channels, channels), 3, 2, padding).await
}

/// Twice the resolution by repeating pixels, cut to `size` (rows, columns), then a convolution.
#[derive(Clone, Debug)]
pub struct Upsample {
    conv: Conv2d,
}

impl Upsample {
    /// Reads the layer from `at`.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, channels: usize) -> Result<Self, LoadError> {
        let conv = at.at("upsamplers.0.conv").conv2d((channels, channels), 3, 1, Padding::same(1)).await?;
        Ok(Self { conv })
    }

    /// The step as an operation, to exactly twice the size.
    pub fn op(&self) -> Op<'_> {
        Op::Up(&self.conv)
    }

    /// `size` is that of the skip connection that comes next: odd sizes were rounded up on the way down.
    pub fn forward(&self, k: &dyn Kernels, x: Tensor<4>, size: Option<[usize; 2]>) -> Tensor<4> {
        let [_, h, w, _] = x.dims();
        k.upsample_conv2d(x, size.unwrap_or([2 * h, 2 * w]), &self.conv)
    }
}

//! What the MMDiT makes of its inputs: latents to patches with their positions, timestep and pooled prompt
//! to one vector.

use super::{
    Linear,
    unet::{sinusoids, two_layers},
};
use crate::{
    LoadError,
    config::MmditConfig,
    weights::{Load, Scope, tensor},
};
use burn::tensor::{Device, Tensor};
use fresco_kernels::{Conv2d, Kernels, Padding};

/// Sinusoids of a timestep.
const WAVES: usize = 256;

/// Latents to tokens.
pub struct Patches {
    patch: Conv2d,
    /// The middle of the table of positions, `[1, side, side, width]`.
    positions: Tensor<4>,
    /// Rows and columns of the whole table.
    whole: usize,
}

impl Patches {
    /// Reads the layer from `at`.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, config: &MmditConfig, device: &Device) -> Result<Self, LoadError> {
        let (whole, side, width) = (config.pos_embed_max_size, config.positions(), config.width());
        let (patch, before) = (config.patch_size, (whole - side) / 2);
        let patch = at.at("proj").conv2d((config.in_channels, width), patch, patch, Padding::same(0)).await?;
        let mut values = Vec::with_capacity(side * side * width);
        for row in before..before + side {
            let start = (row * whole + before) * width;
            values.extend(at.part("pos_embed", &[1, whole * whole, width], start..start + side * width).await?);
        }
        Ok(Self { patch, positions: tensor(values, [1, side, side, width], device), whole })
    }

    /// `latents` `[n, h, w, c]` to `[n, h / patch * w / patch, width]`, each with its place counted from the
    /// middle of the table.
    pub fn forward(&self, k: &dyn Kernels, latents: Tensor<4>) -> Tensor<3> {
        let x = k.conv2d(latents, &self.patch);
        let [n, h, w, width] = x.dims();
        let side = self.positions.dims()[1];
        // Rounded down in the whole table, as the reference does, and then moved into the part that was read.
        let start = |length: usize| (self.whole - length) / 2 - (self.whole - side) / 2;
        let (top, left) = (start(h), start(w));
        let places = self.positions.clone().slice([0..1, top..top + h, left..left + w, 0..width]);
        (x + places).reshape([n, h * w, width])
    }
}

/// Timestep and pooled prompt to the vector that modulates every block.
pub struct Moment {
    time: (Linear, Linear),
    pooled: (Linear, Linear),
    device: Device,
}

impl Moment {
    /// Reads the layer from `at`.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, config: &MmditConfig, device: &Device) -> Result<Self, LoadError> {
        let width = config.width();
        let time = (
            at.at("timestep_embedder.linear_1").linear(WAVES, width, true).await?,
            at.at("timestep_embedder.linear_2").linear(width, width, true).await?,
        );
        let pooled = (
            at.at("text_embedder.linear_1").linear(config.pooled_projection_dim, width, true).await?,
            at.at("text_embedder.linear_2").linear(width, width, true).await?,
        );
        Ok(Self { time, pooled, device: device.clone() })
    }

    /// `[n, width]` of `timesteps` `[n]`, 0 to 1000, and `pooled` `[n, pooled]`.
    pub fn forward(&self, timesteps: &[f32], pooled: Option<&Tensor<2>>) -> Tensor<2> {
        let waves = tensor(sinusoids(timesteps, WAVES, true, 0.0), [timesteps.len(), WAVES], &self.device);
        let time = two_layers(&self.time, waves);
        match pooled {
            Some(pooled) => time + two_layers(&self.pooled, pooled.clone()),
            None => time,
        }
    }
}

//! The denoiser: diffusers' `UNet2DConditionModel` (Rombach et al. 2022).

use super::{
    Conditioning, Linear,
    attention::Shared,
    resnet::{self, Resnet},
    transformer::{self, Transformer},
    unet_blocks::{Down, Up},
};
use crate::{
    LoadError,
    config::{SIZES, UNetConfig},
    weights::{Load, Scope, tensor},
};
use burn::tensor::{Device, Tensor, activation};
use fresco_kernels::{Conv2d, Kernels, Norm, Padding};

/// Noisy latents, timestep and prompt to the prediction.
pub struct UNet {
    config: UNetConfig,
    time: (Linear, Linear),
    added: Option<(Linear, Linear)>,
    enter: Conv2d,
    down: Vec<Down>,
    middle: (Resnet, Transformer, Resnet),
    up: Vec<Up>,
    norm: Norm,
    leave: Conv2d,
    device: Device,
}

impl UNet {
    /// Reads the denoiser from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, config: UNetConfig, device: &Device) -> Result<Self, LoadError> {
        let first = config.block_out_channels[0];
        let width = 4 * first;
        let time = (
            at.at("time_embedding.linear_1").linear(first, width, true).await?,
            at.at("time_embedding.linear_2").linear(width, width, true).await?,
        );
        let added = match config.added() {
            Some((pooled, sinusoids)) => Some((
                at.at("add_embedding.linear_1").linear(pooled + SIZES * sinusoids, width, true).await?,
                at.at("add_embedding.linear_2").linear(width, width, true).await?,
            )),
            None => None,
        };
        let enter = at.at("conv_in").conv2d((config.in_channels, first), 3, 1, Padding::same(1)).await?;
        let levels = config.block_out_channels.len();
        let (mut down, mut up) = (Vec::new(), Vec::new());
        for level in 0..levels {
            down.push(Down::load(at.at("down_blocks").at(level), &config, level).await?);
        }
        let middle = load_middle(at.at("mid_block"), &config).await?;
        for step in 0..levels {
            up.push(Up::load(at.at("up_blocks").at(step), &config, step).await?);
        }
        let norm = at.at("conv_norm_out").norm(first, config.norm_eps).await?;
        let leave = at.at("conv_out").conv2d((first, config.out_channels), 3, 1, Padding::same(1)).await?;
        Ok(Self { config, time, added, enter, down, middle, up, norm, leave, device: device.clone() })
    }

    /// `x` `[n, h, w, in_channels]` at `timesteps` `[n]`; gives `[n, h, w, out_channels]`. With `shared`, one row's
    /// picture lends its style to the others.
    pub fn forward(
        &self,
        k: &dyn Kernels,
        x: Tensor<4>,
        timesteps: &[f32],
        told: &Conditioning,
        shared: Option<Shared>,
    ) -> Tensor<4> {
        let (time, context) = (self.embed(timesteps), &told.states);
        let time = match self.embed_added(told) {
            Some(added) => time + added,
            None => time,
        };
        let mut x = k.conv2d(x, &self.enter);
        let mut skips = vec![x.clone()];
        for block in &self.down {
            x = block.forward(k, x, &time, context, shared, &mut skips);
        }
        let (before, attention, after) = &self.middle;
        x = before.forward(k, x, Some(&time));
        x = after.forward(k, attention.forward(k, x, context, shared), Some(&time));
        for block in &self.up {
            x = block.forward(k, x, &time, context, shared, &mut skips);
        }
        let x = k.group_norm(x, &self.norm, self.config.norm_num_groups, true);
        k.conv2d(x, &self.leave)
    }

    /// The timesteps' embedding `[n, 4 * first]`.
    pub fn embed(&self, timesteps: &[f32]) -> Tensor<2> {
        let width = self.config.block_out_channels[0];
        two_layers(&self.time, self.waves(timesteps, [timesteps.len(), width]))
    }

    /// What pooled prompt and size add to it, `[n, 4 * first]`; nothing in a model that takes neither.
    pub fn embed_added(&self, told: &Conditioning) -> Option<Tensor<2>> {
        let (layers, pooled) = (self.added.as_ref()?, told.pooled.clone()?);
        let (_, sinusoids) = self.config.added()?;
        let waves = self.waves(&told.sizes, [pooled.dims()[0], SIZES * sinusoids]);
        Some(two_layers(layers, Tensor::cat(vec![pooled, waves], 1)))
    }

    /// The sinusoids of some numbers, as many a row as `shape` says.
    fn waves(&self, numbers: &[f32], shape: [usize; 2]) -> Tensor<2> {
        let width = shape[0] * shape[1] / numbers.len().max(1);
        let waves = sinusoids(numbers, width, self.config.flip_sin_to_cos, self.config.freq_shift);
        tensor(waves, shape, &self.device)
    }
}

/// Linear, SiLU, linear, of `[n, c]`.
pub(super) fn two_layers((first, second): &(Linear, Linear), x: Tensor<2>) -> Tensor<2> {
    second.rows(activation::silu(first.rows(x)))
}

async fn load_middle(
    mut at: Scope<'_, impl Load>,
    config: &UNetConfig,
) -> Result<(Resnet, Transformer, Resnet), LoadError> {
    let level = config.block_out_channels.len() - 1;
    let channels = config.block_out_channels[level];
    let sizes = residual(config, channels, channels);
    Ok((
        Resnet::load(at.at("resnets.0"), sizes).await?,
        Transformer::load(at.at("attentions.0"), spatial(config, level)).await?,
        Resnet::load(at.at("resnets.1"), sizes).await?,
    ))
}

/// The sizes of a residual block of this UNet.
pub(super) fn residual(config: &UNetConfig, from: usize, to: usize) -> resnet::Sizes {
    let time = Some(4 * config.block_out_channels[0]);
    resnet::Sizes { from, to, time, groups: config.norm_num_groups, epsilon: config.norm_eps }
}

/// The sizes of a level's transformers.
pub(super) fn spatial(config: &UNetConfig, level: usize) -> transformer::Sizes {
    transformer::Sizes {
        channels: config.block_out_channels[level],
        heads: config.heads(level),
        context: config.cross_attention_dim.of(level),
        depth: config.transformer_layers_per_block.of(level),
        groups: config.norm_num_groups,
    }
}

/// Sines and cosines of each timestep at geometrically falling frequencies (Vaswani et al. 2017,
/// in the form of Ho et al. 2020), `[n * width]`. Computed in f32, as the reference does.
pub fn sinusoids(timesteps: &[f32], width: usize, cosines_first: bool, shift: f64) -> Vec<f32> {
    let half = width / 2;
    let step = -(10_000f64.ln()) as f32;
    let frequencies = (0..half).map(|i| (step * i as f32 / (half as f64 - shift) as f32).exp());
    let frequencies: Vec<f32> = frequencies.collect();
    let mut values = Vec::with_capacity(timesteps.len() * width);
    for t in timesteps {
        let sines = frequencies.iter().map(|f| (t * f).sin());
        let cosines = frequencies.iter().map(|f| (t * f).cos());
        if cosines_first {
            values.extend(cosines.chain(sines));
        } else {
            values.extend(sines.chain(cosines));
        }
        values.resize(values.len() + width % 2, 0.0);
    }
    values
}

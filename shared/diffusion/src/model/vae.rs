//! The autoencoder between pictures and latents: diffusers' `AutoencoderKL` (Kingma & Welling 2013,
//! in the form of Rombach et al. 2022), with 4 channels (Stable Diffusion 1, 2, XL) or 16 (3).
//!
//! Everything is computed in f32, whatever the file's precision: the activations of the XL autoencoder
//! exceed f16's range, so norms, residual sums and attention must never be narrower.

use super::{
    alone,
    attention::{self, Attention, DIFFUSERS},
    program::Op,
    resnet::{self, Resnet, Upsample},
};
use crate::{
    Device, LoadError, Observer, Source,
    config::VaeConfig,
    weights::{Load, Scope},
};
use burn::tensor::Tensor;
use fresco_kernels::{Conv2d, Kernels, Norm, Padding};

/// Added to the variance in every norm.
const EPSILON: f64 = 1e-6;

/// Latents to pictures.
pub struct Decoder {
    before: Option<Conv2d>,
    enter: Conv2d,
    middle: Middle,
    up: Vec<(Vec<Resnet>, Option<Upsample>)>,
    leave: Leave,
}

/// Pictures to the mean and logarithm of the variance of latents.
pub struct Encoder {
    enter: Conv2d,
    down: Vec<(Vec<Resnet>, Option<Conv2d>)>,
    middle: Middle,
    leave: Leave,
    after: Option<Conv2d>,
}

impl Decoder {
    /// Reads it from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut root: Scope<'_, impl Load>, config: &VaeConfig) -> Result<Self, LoadError> {
        let latent = config.latent_channels;
        let before = match config.use_post_quant_conv {
            true => Some(root.at("post_quant_conv").conv2d((latent, latent), 1, 1, Padding::same(0)).await?),
            false => None,
        };
        let mut at = root.at("decoder");
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let enter = at.at("conv_in").conv2d((latent, first), 3, 1, Padding::same(1)).await?;
        let middle = Middle::load(at.at("mid_block"), config, first).await?;
        let mut up = Vec::new();
        for (step, to) in channels.iter().enumerate() {
            let from = channels[step.saturating_sub(1)];
            let mut block = at.at("up_blocks");
            let mut block = block.at(step);
            let resnets = load_resnets(&mut block, config, (from, *to), config.layers_per_block + 1).await?;
            let grow = match step + 1 < channels.len() {
                true => Some(Upsample::load(block, *to).await?),
                false => None,
            };
            up.push((resnets, grow));
        }
        let leave = Leave::load(at, config, (last, config.out_channels)).await?;
        Ok(Self { before, enter, middle, up, leave })
    }

    /// `latents` `[n, h, w, c]`, scaling undone, to pictures `[n, h * factor, w * factor, 3]` around -1 to 1.
    pub fn forward(&self, k: &dyn Kernels, latents: Tensor<4>) -> Tensor<4> {
        let mut x = self.enter(k, latents);
        for (resnets, grow) in &self.up {
            x = resnets.iter().fold(x, |x, resnet| resnet.forward(k, x, None));
            if let Some(grow) = grow {
                x = grow.forward(k, x, None);
            }
        }
        self.leave.forward(k, x)
    }

    /// The part of [`Decoder::forward`] that sees all latents at once, `[n, h, w, c]` to as many positions.
    pub fn enter(&self, k: &dyn Kernels, latents: Tensor<4>) -> Tensor<4> {
        let x = match &self.before {
            Some(conv) => k.conv2d(latents, conv),
            None => latents,
        };
        self.middle.forward(k, k.conv2d(x, &self.enter))
    }

    /// Channels behind [`Decoder::enter`].
    pub fn entry_channels(&self) -> usize {
        self.enter.weight.dims()[0]
    }

    /// The rest of [`Decoder::forward`], which sees neighbourhoods only, but for its norms.
    pub fn local(&self) -> Vec<Op<'_>> {
        let mut ops = Vec::new();
        for (resnets, grow) in &self.up {
            ops.extend(resnets.iter().flat_map(Resnet::ops));
            ops.extend(grow.as_ref().map(Upsample::op));
        }
        ops.extend(self.leave.ops());
        ops
    }
}

impl Encoder {
    /// Reads it from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut root: Scope<'_, impl Load>, config: &VaeConfig) -> Result<Self, LoadError> {
        let doubled = 2 * config.latent_channels;
        let after = match config.use_quant_conv {
            true => Some(root.at("quant_conv").conv2d((doubled, doubled), 1, 1, Padding::same(0)).await?),
            false => None,
        };
        let mut at = root.at("encoder");
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let enter = at.at("conv_in").conv2d((config.in_channels, first), 3, 1, Padding::same(1)).await?;
        let mut down = Vec::new();
        for (level, to) in channels.iter().enumerate() {
            let from = channels[level.saturating_sub(1)];
            let mut block = at.at("down_blocks");
            let mut block = block.at(level);
            let resnets = load_resnets(&mut block, config, (from, *to), config.layers_per_block).await?;
            let shrink = match level + 1 < channels.len() {
                true => Some(resnet::downsample(block, *to, Padding { begin: 0, end: 1 }).await?),
                false => None,
            };
            down.push((resnets, shrink));
        }
        let middle = Middle::load(at.at("mid_block"), config, last).await?;
        let leave = Leave::load(at, config, (last, doubled)).await?;
        Ok(Self { enter, down, middle, leave, after })
    }

    /// `pictures` `[n, h, w, 3]` in -1 to 1, to `[n, h / factor, w / factor, 2 * c]`: the posterior's
    /// mean, then the logarithm of its variance.
    pub fn forward(&self, k: &dyn Kernels, pictures: Tensor<4>) -> Tensor<4> {
        let mut x = k.conv2d(pictures, &self.enter);
        for (resnets, shrink) in &self.down {
            x = resnets.iter().fold(x, |x, resnet| resnet.forward(k, x, None));
            if let Some(shrink) = shrink {
                x = k.conv2d(x, shrink);
            }
        }
        self.leave(k, x)
    }

    /// The beginning of [`Encoder::forward`], which sees neighbourhoods only, but for its norms.
    pub fn local(&self) -> Vec<Op<'_>> {
        let mut ops = vec![Op::Conv(&self.enter)];
        for (resnets, shrink) in &self.down {
            ops.extend(resnets.iter().flat_map(Resnet::ops));
            ops.extend(shrink.as_ref().map(Op::Conv));
        }
        ops
    }

    /// The rest of [`Encoder::forward`], which sees everything at once.
    pub fn leave(&self, k: &dyn Kernels, x: Tensor<4>) -> Tensor<4> {
        let x = self.leave.forward(k, self.middle.forward(k, x));
        match &self.after {
            Some(conv) => k.conv2d(x, conv),
            None => x,
        }
    }
}

async fn load_resnets(
    at: &mut Scope<'_, impl Load>,
    config: &VaeConfig,
    (from, to): (usize, usize),
    count: usize,
) -> Result<Vec<Resnet>, LoadError> {
    let mut resnets = Vec::new();
    for i in 0..count {
        let sizes = residual(config, if i == 0 { from } else { to }, to);
        resnets.push(Resnet::load(at.at("resnets").at(i), sizes).await?);
    }
    Ok(resnets)
}

fn residual(config: &VaeConfig, from: usize, to: usize) -> resnet::Sizes {
    resnet::Sizes { from, to, time: None, groups: config.norm_num_groups, epsilon: EPSILON }
}

/// Residual block, attention over all positions, residual block.
struct Middle {
    before: Resnet,
    attention: Option<(Norm, Attention)>,
    after: Resnet,
    groups: usize,
}

impl Middle {
    async fn load(mut at: Scope<'_, impl Load>, config: &VaeConfig, channels: usize) -> Result<Self, LoadError> {
        let sizes = residual(config, channels, channels);
        let attention = match config.mid_block_add_attention {
            true => {
                let mut at = at.at("attentions.0");
                let norm = at.at("group_norm").norm(channels, EPSILON).await?;
                let sizes = attention::Sizes { width: channels, context: channels, heads: 1, bias: true };
                Some((norm, Attention::load(at, &DIFFUSERS, sizes).await?))
            }
            false => None,
        };
        let before = Resnet::load(at.at("resnets.0"), sizes).await?;
        let after = Resnet::load(at.at("resnets.1"), sizes).await?;
        Ok(Self { before, attention, after, groups: config.norm_num_groups })
    }

    fn forward(&self, k: &dyn Kernels, x: Tensor<4>) -> Tensor<4> {
        let x = self.before.forward(k, x, None);
        let x = match &self.attention {
            Some((norm, attention)) => {
                let [n, h, w, c] = x.dims();
                let y = k.group_norm(x.clone(), norm, self.groups, false).reshape([n, h * w, c]);
                x + attention.forward(k, y.clone(), y, false).reshape([n, h, w, c])
            }
            None => x,
        };
        self.after.forward(k, x, None)
    }
}

/// The last norm and convolution.
struct Leave {
    norm: Norm,
    conv: Conv2d,
    groups: usize,
}

impl Leave {
    async fn load(mut at: Scope<'_, impl Load>, config: &VaeConfig, sizes: (usize, usize)) -> Result<Self, LoadError> {
        let norm = at.at("conv_norm_out").norm(sizes.0, EPSILON).await?;
        let conv = at.at("conv_out").conv2d(sizes, 3, 1, Padding::same(1)).await?;
        Ok(Self { norm, conv, groups: config.norm_num_groups })
    }

    fn ops(&self) -> [Op<'_>; 2] {
        [Op::Norm(&self.norm, self.groups), Op::Conv(&self.conv)]
    }

    fn forward(&self, k: &dyn Kernels, x: Tensor<4>) -> Tensor<4> {
        k.conv2d(k.group_norm(x, &self.norm, self.groups, true), &self.conv)
    }
}

/// Reads both halves from a folder of a source by themselves: `vae`, or any other with the same two files.
///
/// # Errors
/// A file is missing or damaged, or of a kind that is not built; or the observer cancelled it.
pub async fn open(
    source: &impl Source,
    folder: &str,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<(VaeConfig, Decoder, Encoder), LoadError> {
    let (config, (decoder, encoder)) =
        alone::open((source, folder), device, observer, VaeConfig::check, async |weights, config| {
            Ok((Decoder::load(weights.root(), config).await?, Encoder::load(weights.root(), config).await?))
        })
        .await?;
    Ok((config, decoder, encoder))
}

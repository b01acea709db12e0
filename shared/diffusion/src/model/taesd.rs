//! The tiny autoencoder TAESD (O. B. Bohan): a fast decoder of lower quality, and the one for previews.
//!
//! Convolutions and `ReLU` without norms or attention. It reads and writes latents as the denoiser has
//! them, without scaling. diffusers' names (`decoder.layers.0.weight`) and the original's (`1.weight` in
//! `taesd_decoder.safetensors`, where the clamp counts as a layer) are both read.

use super::alone;
use crate::{
    Device, LoadError, Observer, Source,
    config::TaesdConfig,
    weights::{Load, Scope},
};
use burn::tensor::{Tensor, activation};
use fresco_kernels::{Conv2d, Kernels, Padding};

/// Latents beyond it are squeezed by a hyperbolic tangent.
const MAGNITUDE: f64 = 3.0;

/// Latents to pictures.
pub struct Decoder {
    enter: Conv2d,
    /// Blocks, and what enlarges behind them.
    levels: Vec<(Vec<Block>, Option<Conv2d>)>,
    leave: Conv2d,
}

/// Pictures to latents.
pub struct Encoder {
    /// The convolution that leads to a level, and its blocks.
    levels: Vec<(Conv2d, Vec<Block>)>,
    leave: Conv2d,
}

/// Three convolutions around a short cut.
struct Block {
    convs: [Conv2d; 3],
}

/// The layers of one side, by their number in diffusers.
struct Layers<'a, W> {
    scope: Scope<'a, W>,
    next: usize,
    /// How much higher the file counts.
    more: usize,
}

impl<'a, W: Load> Layers<'a, W> {
    /// `shift` is how much higher the original's numbers are than diffusers'.
    fn new(root: &'a mut Scope<'_, W>, side: &str, shift: usize) -> Self {
        let first = format!("{side}.layers.0.weight");
        let original = !root.has(&first) && root.has(&format!("{shift}.weight"));
        match original {
            true => Self { scope: root.here(), next: 0, more: shift },
            false => Self { scope: root.at(format!("{side}.layers")), next: 0, more: 0 },
        }
    }

    fn next(&mut self) -> Scope<'_, W> {
        self.next += 1;
        self.scope.at(self.next - 1 + self.more)
    }

    async fn blocks(&mut self, count: usize, width: usize) -> Result<Vec<Block>, LoadError> {
        let mut blocks = Vec::new();
        for _ in 0..count {
            blocks.push(Block::load(self.next().at("conv"), width).await?);
        }
        Ok(blocks)
    }
}

impl Decoder {
    /// Reads it from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut root: Scope<'_, impl Load>, config: &TaesdConfig) -> Result<Self, LoadError> {
        let mut layers = Layers::new(&mut root, "decoder", 1);
        let same = Padding::same(1);
        let width = config.decoder_block_out_channels.first().copied().unwrap_or(0);
        let enter = layers.next().conv2d((config.latent_channels, width), 3, 1, same).await?;
        // The activation counts as a layer.
        layers.next();
        let mut levels = Vec::new();
        for (i, count) in config.num_decoder_blocks.iter().enumerate() {
            let blocks = layers.blocks(*count, width).await?;
            let grow = match i + 1 < config.num_decoder_blocks.len() {
                true => {
                    // So does the repetition of pixels.
                    layers.next();
                    Some(layers.next().filters((width, width), 3, 1, same).await?)
                }
                false => None,
            };
            levels.push((blocks, grow));
        }
        let leave = layers.next().conv2d((width, config.out_channels), 3, 1, same).await?;
        Ok(Self { enter, levels, leave })
    }

    /// `latents` `[n, h, w, c]` as the denoiser has them, to pictures `[n, h * factor, w * factor, 3]` around -1 to 1.
    pub fn forward(&self, k: &dyn Kernels, latents: Tensor<4>) -> Tensor<4> {
        let x = (latents / MAGNITUDE).tanh() * MAGNITUDE;
        let mut x = activation::relu(k.conv2d(x, &self.enter));
        for (blocks, grow) in &self.levels {
            x = blocks.iter().fold(x, |x, block| block.forward(k, x));
            if let Some(grow) = grow {
                let [_, h, w, _] = x.dims();
                x = k.upsample_conv2d(x, [2 * h, 2 * w], grow);
            }
        }
        // It was trained on 0 to 1.
        k.conv2d(x, &self.leave) * 2.0 - 1.0
    }
}

impl Encoder {
    /// Reads it from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut root: Scope<'_, impl Load>, config: &TaesdConfig) -> Result<Self, LoadError> {
        let mut layers = Layers::new(&mut root, "encoder", 0);
        let same = Padding::same(1);
        let width = config.encoder_block_out_channels.first().copied().unwrap_or(0);
        let mut levels = Vec::new();
        for (i, count) in config.num_encoder_blocks.iter().enumerate() {
            let conv = match i {
                0 => layers.next().conv2d((config.in_channels, width), 3, 1, same).await?,
                _ => layers.next().filters((width, width), 3, 2, same).await?,
            };
            levels.push((conv, layers.blocks(*count, width).await?));
        }
        let leave = layers.next().conv2d((width, config.latent_channels), 3, 1, same).await?;
        Ok(Self { levels, leave })
    }

    /// `pictures` `[n, h, w, 3]` in -1 to 1, to latents `[n, h / factor, w / factor, c]` as the denoiser has them.
    pub fn forward(&self, k: &dyn Kernels, pictures: Tensor<4>) -> Tensor<4> {
        let x = (pictures + 1.0) / 2.0;
        let x = self
            .levels
            .iter()
            .fold(x, |x, (conv, blocks)| blocks.iter().fold(k.conv2d(x, conv), |x, block| block.forward(k, x)));
        k.conv2d(x, &self.leave)
    }
}

impl Block {
    async fn load(mut at: Scope<'_, impl Load>, width: usize) -> Result<Self, LoadError> {
        let (sizes, same) = ((width, width), Padding::same(1));
        // The activations between them count as layers.
        let first = at.at(0).conv2d(sizes, 3, 1, same).await?;
        let second = at.at(2).conv2d(sizes, 3, 1, same).await?;
        let third = at.at(4).conv2d(sizes, 3, 1, same).await?;
        Ok(Self { convs: [first, second, third] })
    }

    fn forward(&self, k: &dyn Kernels, x: Tensor<4>) -> Tensor<4> {
        let [first, second, third] = &self.convs;
        let y = activation::relu(k.conv2d(x.clone(), first));
        let y = activation::relu(k.conv2d(y, second));
        activation::relu(x + k.conv2d(y, third))
    }
}

/// Reads both halves from a folder of a source by themselves, as diffusers lays it out.
///
/// # Errors
/// A file is missing or damaged, or of a kind that is not built; or the observer cancelled it.
pub async fn open(
    source: &impl Source,
    folder: &str,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<(TaesdConfig, Decoder, Encoder), LoadError> {
    let (config, (decoder, encoder)) =
        alone::open((source, folder), device, observer, TaesdConfig::check, async |weights, config| {
            Ok((Decoder::load(weights.root(), config).await?, Encoder::load(weights.root(), config).await?))
        })
        .await?;
    Ok((config, decoder, encoder))
}

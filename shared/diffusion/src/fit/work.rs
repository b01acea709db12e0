//! What a run holds besides weights: estimates, counted at the networks' widest places.

use crate::{
    config::{MmditConfig, UNetConfig, VaeConfig},
    family::DenoiserConfig,
};

/// Bytes of a number.
const F32: u64 = 4;
/// Attention scores, their exponentials and one more of the same, each of which is at most so large.
const SCORES: u64 = 3 * (64 << 20);
/// Channels that a transformer block holds at once, times its width: its feed-forward layer is four times as wide, in
/// the UNet twice that for the gate, and the activation has several copies of it.
const BLOCK: u64 = 24;
/// The same of a residual block: what comes in, its norm, what goes out, and what is remembered.
const RESIDUAL: u64 = 8;
/// Tokens of the prompt that an MMDiT attends to: two CLIPs' and T5's.
const PROMPT: u64 = 333;
/// Channels that TAESD holds for each pixel.
const TINY: u64 = 3 * 64;

/// Bytes that a run holds besides weights, for each thing that there are many of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// For each latent position of each picture in a step.
    pub position: u64,
    /// For each picture in a step, whatever its size.
    pub picture: u64,
    /// Heads of the attention with the most tokens.
    pub heads: u64,
    /// Latent positions that are one token of that attention.
    pub patch: u64,
    /// For each pixel that is decoded.
    pub pixel: u64,
    /// Pixels a side that a latent position stands for.
    pub factor: u32,
}

impl Work {
    /// Of a model with these parts.
    pub fn of(denoiser: &DenoiserConfig, vae: &VaeConfig) -> Self {
        let work = match denoiser {
            DenoiserConfig::UNet(config) => Self::unet(config),
            DenoiserConfig::Mmdit(config) => Self::mmdit(config),
        };
        let channels = |level: usize| vae.block_out_channels.get(level).copied().unwrap_or_default() as u64;
        // The first convolution at full size: what comes in, its norm, what goes out, and what is remembered.
        let pixel = (2 * channels(1).max(channels(0)) + channels(0)) * F32;
        Self { pixel, factor: vae.factor(), ..work }
    }

    /// Of a published model of which only the kind is known: the sizes of SD 1 and SDXL, or of SD3.5 large.
    pub fn guessed(transformer: bool) -> Self {
        let work = match transformer {
            true => Self {
                position: 2432 * BLOCK * F32 / 4,
                picture: PROMPT * 2432 * BLOCK * F32,
                heads: 38,
                patch: 4,
                ..Self::default()
            },
            false => Self { position: 320 * (BLOCK + 5) * F32, heads: 8, patch: 1, ..Self::default() },
        };
        Self { pixel: 640 * F32, factor: 8, ..work }
    }

    fn unet(config: &UNetConfig) -> Self {
        let mut work = Self { patch: 1, ..Self::default() };
        let (mut remembered, mut busy) = (config.block_out_channels.first().copied().unwrap_or_default() as u64, 0);
        let mut attends = false;
        for (level, channels) in config.block_out_channels.iter().enumerate() {
            // A level has a quarter of the positions of the one before it.
            let share = |bytes: u64| bytes >> (2 * level.min(31));
            let channels = *channels as u64;
            let has_attention = config.down_block_types.get(level).is_some_and(|kind| kind.has_attention());
            remembered += share(channels * (config.layers_per_block.of(level) as u64 + 1));
            busy = busy.max(share(channels * if has_attention { BLOCK } else { RESIDUAL }));
            if has_attention && !attends {
                attends = true;
                work.heads = config.heads(level) as u64;
                work.patch = 1 << (2 * level.min(31));
            }
        }
        Self { position: (remembered + busy) * F32, ..work }
    }

    fn mmdit(config: &MmditConfig) -> Self {
        let (width, patch) = (config.width() as u64, (config.patch_size * config.patch_size).max(1) as u64);
        let each = width * BLOCK * F32;
        Self {
            position: each / patch,
            picture: PROMPT * each,
            heads: config.num_attention_heads as u64,
            patch,
            ..Self::default()
        }
    }

    fn positions(&self, (width, height): (u32, u32)) -> u64 {
        let side = |pixels: u32| u64::from(pixels / self.factor.max(1)).max(1);
        side(width) * side(height)
    }

    /// A step that predicts for `batch` pictures of so many pixels.
    pub fn step(&self, size: (u32, u32), batch: u64) -> u64 {
        let positions = self.positions(size);
        let tokens = positions / self.patch.max(1);
        let scores = (3 * F32 * self.heads * batch).saturating_mul(tokens.saturating_mul(tokens));
        batch * (positions * self.position + self.picture) + scores.min(SCORES)
    }

    /// Decoding a picture whole.
    pub fn decode(&self, (width, height): (u32, u32)) -> u64 {
        u64::from(width) * u64::from(height) * self.pixel
    }

    /// Decoding it in tiles: what they are allowed, as [`crate::Tiling::Within`] takes it.
    pub fn decode_tiled(&self, size: (u32, u32)) -> u64 {
        /// Below it tiles would be all border.
        const LEAST: u64 = 256 << 20;
        let whole = self.decode(size);
        whole.min((whole / 4).max(LEAST))
    }

    /// Decoding it by TAESD.
    pub fn decode_fast(&self, (width, height): (u32, u32)) -> u64 {
        u64::from(width) * u64::from(height) * TINY * F32
    }
}

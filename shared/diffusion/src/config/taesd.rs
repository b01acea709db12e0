//! `config.json` of an `AutoencoderTiny`.

use super::{count, only};
use crate::LoadError;
use serde::Deserialize;

/// The tiny autoencoder between pictures and latents, as diffusers writes it and with its defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct TaesdConfig {
    /// Channels of each level of the encoder, from the picture inwards.
    pub encoder_block_out_channels: Vec<usize>,
    /// Channels of each level of the decoder, from the latents outwards.
    pub decoder_block_out_channels: Vec<usize>,
    /// Blocks of each level of the encoder.
    pub num_encoder_blocks: Vec<usize>,
    /// Blocks of each level of the decoder.
    pub num_decoder_blocks: Vec<usize>,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Times as wide and high a level of the decoder is; 2 is built.
    pub upsampling_scaling_factor: usize,
    /// Picture channels in.
    pub in_channels: usize,
    /// Picture channels out.
    pub out_channels: usize,
    /// The activation.
    pub act_fn: String,
    /// How a level is enlarged.
    pub upsample_fn: String,
    /// Latents are those of the denoiser; 1 is built.
    pub scaling_factor: f32,
    /// Latents are those of the denoiser; 0 is built.
    pub shift_factor: f32,
}

impl Default for TaesdConfig {
    fn default() -> Self {
        Self {
            encoder_block_out_channels: vec![64; 4],
            decoder_block_out_channels: vec![64; 4],
            num_encoder_blocks: vec![1, 3, 3, 3],
            num_decoder_blocks: vec![3, 3, 3, 1],
            latent_channels: 4,
            upsampling_scaling_factor: 2,
            in_channels: 3,
            out_channels: 3,
            act_fn: "relu".to_owned(),
            upsample_fn: "nearest".to_owned(),
            scaling_factor: 1.0,
            shift_factor: 0.0,
        }
    }
}

impl TaesdConfig {
    /// Pixels a latent position stands for.
    pub fn factor(&self) -> u32 {
        1 << (self.num_decoder_blocks.len().max(1) - 1)
    }

    /// # Errors
    /// A size that is zero or does not fit, or a variant that is not built.
    pub fn check(&self, file: &str) -> Result<(), LoadError> {
        only(file, "act_fn", &self.act_fn.as_str(), &"relu")?;
        only(file, "upsample_fn", &self.upsample_fn.as_str(), &"nearest")?;
        only(file, "upsampling_scaling_factor", &self.upsampling_scaling_factor, &2)?;
        only(file, "in_channels", &self.in_channels, &3)?;
        only(file, "out_channels", &self.out_channels, &3)?;
        only(file, "scaling_factor", &self.scaling_factor, &1.0)?;
        only(file, "shift_factor", &self.shift_factor, &0.0)?;
        count(file, "latent_channels", self.latent_channels, 64)?;
        let levels = self.num_decoder_blocks.len();
        count(file, "the number of num_decoder_blocks", levels, 8)?;
        let lengths = [&self.encoder_block_out_channels, &self.decoder_block_out_channels, &self.num_encoder_blocks]
            .map(Vec::len);
        if lengths.iter().any(|length| *length != levels) {
            return Err(LoadError::bad(file, "encoder and decoder must have as many levels as channels"));
        }
        for (name, widths) in [
            ("encoder_block_out_channels", &self.encoder_block_out_channels),
            ("decoder_block_out_channels", &self.decoder_block_out_channels),
        ] {
            count(file, name, widths[0], 1 << 12)?;
            // The layers between levels keep their width in the reference, too.
            if widths.iter().any(|width| *width != widths[0]) {
                return Err(LoadError::unsupported(file, format!("{name} {widths:?} of different widths")));
            }
        }
        for blocks in self.num_encoder_blocks.iter().chain(&self.num_decoder_blocks) {
            count(file, "blocks of a level", *blocks, 64)?;
        }
        Ok(())
    }
}

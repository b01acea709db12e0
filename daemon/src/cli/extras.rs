//! The options of `fresco generate` that name files besides the model's.

use super::Problem;
use crate::models::{Extras, loras::LoraFile, words::WordFile};
use clap::Args;
use fresco_api::{ApiError, limits};
use std::path::{Path, PathBuf};

/// The files that a tiny autoencoder's folder may have.
const DECODERS: [&str; 3] =
    ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors", "taesd_decoder.safetensors"];

/// Files besides the model's own.
#[derive(Debug, Args)]
pub(super) struct ExtraFiles {
    /// A LoRA to add, all of it or so much; may be given several times. `<lora:name:0.8>` in the prompt adds one from
    /// the folder `loras` of FRESCO_HOME.
    #[arg(long = "lora", value_name = "FILE[:WEIGHT]", value_parser = lora)]
    loras: Vec<LoraFile>,
    /// A learned word (textual inversion); may be given several times. The prompt names it by its file's name, as it
    /// names those in the folder `embeddings` of FRESCO_HOME, alone or as `embedding:name`.
    #[arg(long = "embedding", value_name = "FILE")]
    embeddings: Vec<PathBuf>,
    /// An autoencoder in place of the model's own: a .safetensors file, or a folder in diffusers' layout.
    #[arg(long, value_name = "PATH")]
    vae: Option<PathBuf>,
    /// A tiny autoencoder (TAESD) that decodes the picture, quicker and of lower quality: a .safetensors file, or a
    /// folder in diffusers' layout.
    #[arg(long, value_name = "PATH")]
    fast_decoder: Option<PathBuf>,
    /// Enlarges the finished picture four times by a network: Real-ESRGAN's (RRDB), as a .safetensors file.
    #[arg(long, value_name = "FILE")]
    upscaler: Option<PathBuf>,
}

/// `FILE` or `FILE:WEIGHT`.
fn lora(named: &str) -> Result<LoraFile, String> {
    let (path, weight) = match named.rsplit_once(':').map(|(path, weight)| (path, weight.parse::<f32>())) {
        Some((path, Ok(weight))) => (path, weight),
        _ => (named, 1.0),
    };
    if !weight.is_finite() || weight.abs() > limits::MAX_LORA_WEIGHT {
        return Err(format!("the weight of {path} is no number from -{0} to {0}", limits::MAX_LORA_WEIGHT));
    }
    if !Path::new(path).is_file() {
        return Err(format!("there is no file {path}"));
    }
    Ok(LoraFile::new(PathBuf::from(path), weight, weight))
}

impl ExtraFiles {
    /// The autoencoder that was said.
    pub(super) fn vae(&self) -> Option<&Path> {
        self.vae.as_deref()
    }

    /// What an engine takes; `vae` is the file that holds the autoencoder.
    pub(super) fn given(&self, vae: Option<PathBuf>) -> Result<Extras, Problem> {
        let words = self.embeddings.iter().map(|path| Ok(WordFile::new(file("embedding", path)?)));
        Ok(Extras {
            loras: self.loras.clone(),
            words: words.collect::<Result<_, ApiError>>()?,
            vae,
            fast_decoder: self.fast_decoder.as_deref().map(decoder).transpose()?,
            upscaler: self.upscaler.as_deref().map(|path| file("upscaler", path)).transpose()?,
        })
    }
}

/// A file that is there.
fn file(field: &str, path: &Path) -> Result<PathBuf, ApiError> {
    match path.is_file() {
        true => Ok(path.to_owned()),
        false => Err(ApiError::field(field, format!("there is no file {}", path.display()))),
    }
}

/// A tiny decoder's weights: a file, or those of a folder.
fn decoder(path: &Path) -> Result<PathBuf, ApiError> {
    let found = DECODERS.iter().map(|name| path.join(name)).find(|file| file.is_file());
    found.map_or_else(|| file("fastDecoder", path), Ok)
}

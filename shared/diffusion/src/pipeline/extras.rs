//! What a loaded model can be given besides LoRAs: learned words, and a fast decoder.

use super::Pipeline;
use crate::{
    LoadError, Silent, Source,
    config::TaesdConfig,
    family::TextConfig,
    finish::FastDecoder,
    model::taesd,
    prompt::Embedding,
    weights::{Progress, Weights},
};

/// The first layer of a tiny decoder, in diffusers' names and in the original's.
const FIRST_LAYERS: [&str; 2] = ["decoder.layers.0.weight", "1.weight"];

impl Pipeline {
    /// Whether every CLIP of the model can learn a word: it has vectors of the width of each.
    pub fn can_learn(&self, word: &Embedding) -> bool {
        let mut widths = self.parts.texts.iter().flatten().map(TextConfig::beside).filter(|width| *width > 0);
        widths.all(|width| word.has_width(width))
    }

    /// Teaches the text encoders these words and no others. They learn them again whenever they are loaded.
    ///
    /// # Errors
    /// A word that [`Pipeline::can_learn`] says no to; nothing is changed then.
    pub fn set_words(&mut self, words: Vec<Embedding>) -> Result<(), LoadError> {
        if let Some(word) = words.iter().find(|word| !self.can_learn(word)) {
            return Err(LoadError::bad(&word.name, "is a learned word for text encoders of another width"));
        }
        if let Some(texts) = &mut self.texts {
            texts.teach(&words)?;
        }
        self.words = words;
        Ok(())
    }

    /// Reads a TAESD for the model's latents from one file, in diffusers' names or the original's, and lets it decode
    /// from now on.
    ///
    /// # Errors
    /// The file is missing, damaged or of another kind, or decodes other latents.
    pub async fn load_fast_decoder(
        &mut self,
        source: &impl Source,
        file: &str,
        used: FastDecoder,
    ) -> Result<(), LoadError> {
        let (files, mut silent) = ([file.to_owned()], Silent);
        let mut progress = Progress::of(source, &files).await?;
        let mut weights = Weights::open(source, &files, &self.device, &mut silent, &mut progress).await?;
        let first = FIRST_LAYERS.iter().find_map(|name| weights.listing().shape(name));
        let Some(&[_, channels, ..]) = first else {
            return Err(LoadError::bad(file, "is no decoder of a tiny autoencoder (TAESD)"));
        };
        let config = TaesdConfig { latent_channels: channels, ..TaesdConfig::default() };
        let need = self.latent_channels();
        if channels != need || config.factor() != self.facts.latent_factor {
            let message = format!("decodes latents of {channels} channels, this model's have {need}");
            return Err(LoadError::bad(file, message));
        }
        let decoder = taesd::Decoder::load(weights.root(), &config).await?;
        self.set_fast_decoder(decoder, used);
        Ok(())
    }
}

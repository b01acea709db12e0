//! LoRAs on a loaded model: only the tensors that they change are read again.

use super::{Facts, Pipeline};
use crate::{
    LoadError, Observer, Source,
    family::{self, Loading},
    weights::{
        self,
        checkpoint::Part,
        lora::{Lora, Patches, Strength},
    },
};
use std::collections::BTreeSet;

impl Facts {
    /// LoRAs with their strengths, resolved against the files in `source` of the model that these are the facts of.
    ///
    /// # Errors
    /// A LoRA is for another model, or a file of the model is gone.
    pub async fn resolve_loras<L: Source>(
        &self,
        source: &impl Source,
        loras: Vec<(Lora<L>, Strength)>,
    ) -> Result<Patches<L>, LoadError> {
        let mut listings = Vec::new();
        for component in &self.components {
            if let Some(part) = Part::of_folder(&component.folder) {
                listings.push((part, weights::listing(source, &component.files).await?));
            }
        }
        let listings: Vec<_> = listings.iter().map(|(part, listing)| (*part, listing)).collect();
        Patches::new(loras, &listings)
    }
}

impl Pipeline {
    /// LoRAs with their strengths, resolved against this model's files in `source`. Nothing is changed yet.
    ///
    /// # Errors
    /// A LoRA is for another model, or a file of the model is gone.
    pub async fn resolve_loras<L: Source>(
        &self,
        source: &impl Source,
        loras: Vec<(Lora<L>, Strength)>,
    ) -> Result<Patches<L>, LoadError> {
        self.facts.resolve_loras(source, loras).await
    }

    /// The model with these LoRAs instead of those that it has; [`Patches::none`] takes all away.
    ///
    /// Each changed tensor is read from `source` anew, so that the base comes back exactly. The model is taken by
    /// value because what is replaced is let go of first: a device need not hold both. Words that the text encoders
    /// learned stay.
    ///
    /// # Errors
    /// A tensor cannot be read, or the observer cancelled it; the model is then gone and must be loaded again.
    pub async fn with_loras<L: Source>(
        self,
        source: &impl Source,
        loras: &Patches<L>,
        observer: &mut impl Observer,
    ) -> Result<Self, LoadError> {
        let Self { facts, parts, texts, denoiser, device, mut kept, changed: before, words, .. } = self;
        let changed: BTreeSet<(&str, String)> =
            loras.names().map(|(part, name)| (part.folder(), name.to_owned())).collect();
        let touched: BTreeSet<_> = before.union(&changed).collect();
        for (folder, name) in touched.iter().copied() {
            if let Some(kept) = kept.get_mut(*folder) {
                kept.forget(name);
            }
        }
        let folder = parts.denoiser.class().folder();
        let in_denoiser = touched.iter().any(|(part, _)| *part == folder);
        let in_texts = touched.iter().any(|(part, _)| *part != folder);
        let wanted = |part| match part {
            family::Part::Text => in_texts && texts.is_some(),
            family::Part::Denoiser => in_denoiser,
            family::Part::Autoencoder => false,
        };
        let loading = Loading::new((source, loras), &device, observer, &facts.components, wanted, &mut kept);
        let mut loading = loading.in_precision(self.precision);
        let texts = match texts {
            Some(texts) if in_texts => {
                drop(texts);
                let mut texts = parts.load_texts(&mut loading).await?;
                texts.teach(&words)?;
                Some(texts)
            }
            texts => texts,
        };
        let denoiser = match in_denoiser {
            true => {
                drop(denoiser);
                parts.load_denoiser(&mut loading).await?
            }
            false => denoiser,
        };
        let (decoder, encoder) = (self.decoder, self.encoder);
        let (kernels, precision, finish) = (self.kernels, self.precision, self.finish);
        Ok(Self {
            facts,
            parts,
            texts,
            denoiser,
            decoder,
            encoder,
            device,
            kernels,
            kept,
            changed,
            precision,
            words,
            finish,
        })
    }

    /// As [`Pipeline::load_text_encoders`], with the LoRAs that the denoiser has.
    ///
    /// # Errors
    /// As [`Pipeline::load`].
    pub async fn load_text_encoders_with<L: Source>(
        &mut self,
        source: &impl Source,
        loras: &Patches<L>,
        observer: &mut impl Observer,
    ) -> Result<(), LoadError> {
        if self.texts.is_none() {
            let (loading, components) = ((source, loras), &self.facts.components);
            let wanted = |part| part == family::Part::Text;
            let loading = Loading::new(loading, &self.device, observer, components, wanted, &mut self.kept);
            let loading = &mut loading.in_precision(self.precision);
            let mut texts = self.parts.load_texts(loading).await?;
            texts.teach(&self.words)?;
            self.texts = Some(texts);
        }
        Ok(())
    }
}

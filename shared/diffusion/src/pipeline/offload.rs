//! Text encoders that are not there while the denoiser is, and weights that two models have once.

use super::{LoadOptions, Pipeline, told};
use crate::{
    Device, LoadError, Observer, RunError, Source,
    family::{Loading, Part, Parts, Shelves},
    model::Conditioning,
    prompt::Embedding,
    weights::{Kept, Precision, lora::Patches},
};
use fresco_api::Params;

impl Pipeline {
    /// A request's prompts as the denoiser takes them, read by text encoders that are loaded for it and gone behind
    /// it: nothing else of the model need be on the device. They learn `words` first. For [`Pipeline::draw`].
    ///
    /// # Errors
    /// As [`Pipeline::load`].
    pub async fn read_prompts<L: Source>(
        source: &impl Source,
        loras: &Patches<L>,
        device: &Device,
        options: LoadOptions,
        (params, words): (&Params, &[Embedding]),
        observer: &mut impl Observer,
    ) -> Result<Conditioning, LoadError> {
        let mut parts = Parts::read(source).await?;
        if !options.optional {
            parts.leave_out_optional();
        }
        let components = parts.components(source).await?;
        let (mut kept, wanted) = (Shelves::new(), |part| part == Part::Text);
        let loading = Loading::new((source, loras), device, observer, &components, wanted, &mut kept);
        let mut texts = parts.load_texts(&mut loading.in_precision(options.precision)).await?;
        texts.teach(words)?;
        told(&parts, Some(&texts), fresco_kernels::fast(), params).map_err(|error| match error {
            RunError::Cancelled => LoadError::Cancelled,
            other => LoadError::bad("model_index.json", other),
        })
    }

    /// In how many bits its weights are on the device.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether its text encoders are loaded.
    pub fn has_text_encoders(&self) -> bool {
        self.texts.is_some()
    }

    /// The tensors of a part, by its folder, as far as no LoRA changed them: for another model that has the same part,
    /// where they take no more memory. Only text encoders and denoisers are lent.
    pub fn lend(&self, folder: &str) -> Option<Kept> {
        let mut kept = self.kept.get(folder)?.clone();
        self.changed.iter().filter(|(part, _)| *part == folder).for_each(|(_, name)| kept.forget(name));
        Some(kept)
    }

    /// Asks the device to give back memory that nothing needs any more.
    pub fn tidy(device: &Device) {
        device.memory_cleanup();
    }
}

//! A model that is loaded: with its LoRAs, with or without its text encoders, and what its last prompts said.

use super::{
    super::{EngineError, Progress, Task, wear::Worn},
    plan::Plan,
};
use crate::models::{Catalogue, Extras, Model, ModelFiles, loras::LoraFile, words::WordFile};
use fresco_api::Params;
use fresco_diffusion::{
    Facts, Output, Pipeline,
    fit::Outline,
    model::Conditioning,
    weights::lora::{Lora, Patches, Strength},
};
use std::sync::Arc;

/// A model on the device.
pub struct Loaded {
    /// The catalogue's entry that it was loaded from.
    pub model: Arc<Model>,
    /// The model itself.
    pub pipeline: Box<Pipeline>,
    /// How it is run.
    pub plan: Plan,
    outline: Outline,
    loras: Vec<LoraFile>,
    worn: Worn,
    /// What prompts said that were read by text encoders which are gone.
    told: Option<(Asked, Conditioning)>,
}

/// Everything that decides what text encoders say.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    prompt: String,
    negative: Option<String>,
    size: (u32, u32),
    clip_skip: Option<u32>,
    loras: Vec<LoraFile>,
    words: Vec<WordFile>,
}

impl Asked {
    /// By these parameters, with these LoRAs and learned words.
    pub fn of(params: &Params, loras: &[LoraFile], words: &[WordFile]) -> Self {
        Self {
            prompt: params.prompt.clone(),
            negative: (params.guidance_scale > 1.0).then(|| params.negative_prompt.clone()),
            size: (params.width, params.height),
            clip_skip: params.clip_skip,
            loras: loras.to_vec(),
            words: words.to_vec(),
        }
    }
}

impl Loaded {
    /// A model as it was loaded, without LoRAs.
    pub fn new(model: Arc<Model>, pipeline: Pipeline, outline: Outline, plan: Plan) -> Self {
        let (loras, worn, pipeline) = (Vec::new(), Worn::default(), Box::new(pipeline));
        Self { model, pipeline, plan, outline, loras, worn, told: None }
    }

    /// Bytes that it takes between two runs. Text encoders that it shares with another model count for both.
    pub fn bytes(&self) -> u64 {
        self.plan.need.resting
    }

    /// How it is run for a picture of `size`, if the last one was as large.
    pub fn planned(&self, size: (u32, u32)) -> Option<Plan> {
        (self.plan.size == size).then_some(self.plan)
    }

    /// What these prompts said, if they were the last.
    pub fn told(&self, asked: &Asked) -> Option<Conditioning> {
        self.told.as_ref().filter(|(last, _)| last == asked).map(|(_, told)| told.clone())
    }

    /// The model with these LoRAs and no others.
    ///
    /// # Errors
    /// A tensor cannot be read, or it was cancelled; the model is then gone.
    pub async fn with_loras(
        self,
        loras: &[LoraFile],
        patches: &Patches<ModelFiles>,
        progress: &mut Progress,
    ) -> Result<Self, EngineError> {
        if self.loras == loras {
            return Ok(self);
        }
        let pipeline = Box::pin(self.pipeline.with_loras(&self.model.files, patches, progress)).await?;
        Ok(Self { pipeline: Box::new(pipeline), loras: loras.to_vec(), ..self })
    }

    /// Does what its plan says: text encoders come or go, the autoencoder works in tiles or not.
    ///
    /// # Errors
    /// A text encoder cannot be read, or it was cancelled.
    pub async fn settle(
        &mut self,
        plan: Plan,
        patches: &Patches<ModelFiles>,
        told: Option<(Asked, Conditioning)>,
        progress: &mut Progress,
    ) -> Result<(), EngineError> {
        match plan.savings.offload {
            true => self.pipeline.drop_text_encoders(),
            false => self.pipeline.load_text_encoders_with(&self.model.files, patches, progress).await?,
        }
        self.pipeline.set_tiling(plan.savings.tiling(&self.outline.work, plan.size));
        self.plan = plan;
        self.told = told;
        Ok(())
    }

    /// The picture of a task, with the files that it takes besides the model's.
    ///
    /// # Errors
    /// It was cancelled, or could not be made.
    pub async fn draw(
        &mut self,
        task: &Task,
        extras: &Extras,
        catalogue: &Catalogue,
        progress: &mut Progress,
    ) -> Result<Output, EngineError> {
        self.worn.change(&mut self.pipeline, extras, catalogue, progress.shows_previews()).await?;
        let told = self.told.as_ref().map(|(_, told)| told);
        Ok(self.pipeline.draw(&task.params, task.pictures.as_deref(), told, progress).await?)
    }
}

/// What LoRAs change in a model.
pub async fn patches(
    facts: &Facts,
    files: &ModelFiles,
    loras: &[LoraFile],
) -> Result<Patches<ModelFiles>, EngineError> {
    if loras.is_empty() {
        return Ok(Patches::none());
    }
    let mut opened = Vec::with_capacity(loras.len());
    for lora in loras {
        let (folder, name) = ModelFiles::of_file(&lora.path);
        opened.push((Lora::open(folder, &name).await?, Strength { denoiser: lora.denoiser, text: lora.text }));
    }
    Ok(facts.resolve_loras(files, opened).await?)
}

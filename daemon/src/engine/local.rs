//! The engine that runs models on this machine, through Burn.

use super::{
    Bench, DeviceChoice, EngineError, Pinned, Progress, Task,
    device::{Finding, choose, regret},
};
use crate::models::{
    Catalogue, Model, ModelFiles,
    loras::{self, LoraFile},
};
use fresco_api::{ApiError, ErrorCode};
use fresco_diffusion::{
    Device, LoadError, Output, Pipeline, RunError,
    weights::lora::{Lora, Patches, Strength},
};
use std::{io, path::Path, sync::Arc};

/// Starts the engine's thread, which chooses its device in the background.
///
/// # Errors
/// When the system gives no thread.
pub fn start(catalogue: Arc<Catalogue>, wanted: DeviceChoice) -> io::Result<Pinned> {
    Pinned::start(move || Local { catalogue: catalogue.clone(), wanted, device: None, loaded: None })
}

struct Local {
    catalogue: Arc<Catalogue>,
    wanted: DeviceChoice,
    device: Option<Device>,
    /// The model that ran last stays loaded.
    loaded: Option<Loaded>,
}

/// A model with the LoRAs that were added.
struct Loaded {
    /// As the catalogue gave it: files that change become another entry, and are loaded anew.
    model: Arc<Model>,
    loras: Vec<LoraFile>,
    pipeline: Pipeline,
}

impl Bench for Local {
    fn open(&mut self) -> Result<String, ApiError> {
        let verdicts = choose(self.wanted);
        let chosen = verdicts.iter().find(|verdict| verdict.finding == Finding::Chosen);
        let chosen = chosen.ok_or_else(|| ApiError::new(ErrorCode::Device, regret(self.wanted, &verdicts)))?;
        self.device = Some(chosen.candidate.device.clone());
        tracing::info!("models run on {}", chosen.name());
        Ok(chosen.name())
    }

    fn run(&mut self, task: &Task, mut progress: Progress) -> Result<Output, EngineError> {
        futures_executor::block_on(async {
            let named = loras::named_in(&task.params.prompt, self.catalogue.loras())?;
            let loras = [task.loras.as_slice(), &named].concat();
            let model = self.catalogue.find(Some(&task.params.model))?;
            let pipeline = self.pipeline(model, loras, &mut progress).await?;
            Ok(match &task.pictures {
                Some(pictures) => pipeline.edit(&task.params, pictures, &mut progress).await?,
                None => pipeline.generate(&task.params, &mut progress).await?,
            })
        })
    }
}

impl Local {
    /// The model with these LoRAs and no others, loaded if it is not.
    async fn pipeline(
        &mut self,
        model: Arc<Model>,
        loras: Vec<LoraFile>,
        progress: &mut Progress,
    ) -> Result<&Pipeline, EngineError> {
        let same = self.loaded.take().filter(|loaded| Arc::ptr_eq(&loaded.model, &model));
        let mut loaded = match same {
            Some(loaded) => loaded,
            // The other model is dropped by now: two need not fit.
            None => {
                let pipeline = self.load(&model, progress).await?;
                Loaded { model, loras: Vec::new(), pipeline }
            }
        };
        if loaded.loras != loras {
            let files = &loaded.model.files;
            let patches = match patches(&loaded.pipeline, files, &loras).await {
                Ok(patches) => patches,
                Err(error) => {
                    // Nothing was changed: the model stays for the next run.
                    self.loaded = Some(loaded);
                    return Err(error);
                }
            };
            loaded.pipeline = loaded.pipeline.with_loras(files, &patches, progress).await?;
            loaded.loras = loras;
        }
        Ok(&self.loaded.insert(loaded).pipeline)
    }

    async fn load(&self, model: &Model, progress: &mut Progress) -> Result<Pipeline, EngineError> {
        let device = self.device.as_ref().ok_or_else(|| ApiError::new(ErrorCode::Device, "No device is open"))?;
        Ok(Pipeline::load(&model.files, device, progress).await?)
    }
}

/// What LoRAs change in a model.
async fn patches(
    pipeline: &Pipeline,
    files: &ModelFiles,
    loras: &[LoraFile],
) -> Result<Patches<ModelFiles>, EngineError> {
    let mut opened = Vec::with_capacity(loras.len());
    for lora in loras {
        let folder = ModelFiles::of_folder(lora.path.parent().unwrap_or(Path::new("")));
        let name = lora.path.file_name().unwrap_or_default().to_string_lossy();
        opened.push((Lora::open(folder, &name).await?, Strength { denoiser: lora.denoiser, text: lora.text }));
    }
    Ok(pipeline.resolve_loras(files, opened).await?)
}

impl From<LoadError> for EngineError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Cancelled => EngineError::Cancelled,
            other => EngineError::Failed(other.into()),
        }
    }
}

impl From<RunError> for EngineError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Cancelled => EngineError::Cancelled,
            other => EngineError::Failed(other.into()),
        }
    }
}

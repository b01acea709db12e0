//! The engine that runs models on this machine, through Burn.

use super::{
    Bench, DeviceChoice, EngineError, Pinned, Progress, Task,
    device::{Finding, choose, regret},
};
use crate::models::Catalogue;
use fresco_api::{ApiError, ErrorCode, ModelId};
use fresco_diffusion::{Device, LoadError, Output, Pipeline, RunError};
use std::{io, sync::Arc};

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
    loaded: Option<(ModelId, Pipeline)>,
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
            let pipeline = self.pipeline(&task.params.model, &mut progress).await?;
            Ok(match &task.pictures {
                Some(pictures) => pipeline.edit(&task.params, pictures, &mut progress).await?,
                None => pipeline.generate(&task.params, &mut progress).await?,
            })
        })
    }
}

impl Local {
    /// The model, loaded if it is not.
    async fn pipeline(&mut self, id: &ModelId, progress: &mut Progress) -> Result<&Pipeline, EngineError> {
        let same = self.loaded.take().filter(|(loaded, _)| loaded == id);
        let pipeline = match same {
            Some((_, pipeline)) => pipeline,
            // The other model is dropped by now: two need not fit.
            None => self.load(id, progress).await?,
        };
        Ok(&self.loaded.insert((id.clone(), pipeline)).1)
    }

    async fn load(&self, id: &ModelId, progress: &mut Progress) -> Result<Pipeline, EngineError> {
        let model = self.catalogue.find(Some(id))?;
        let device = self.device.as_ref().ok_or_else(|| ApiError::new(ErrorCode::Device, "No device is open"))?;
        Ok(Pipeline::load(&model.files, device, progress).await?)
    }
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

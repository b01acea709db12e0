//! The engine that runs models on this machine, through Burn.
//!
//! Models stay loaded while there is room. Before anything is loaded it is known from headers whether it fits, in how
//! many bits, and what else must go; what cannot fit is refused with advice.

mod loaded;
mod plan;
mod shared;

use super::{
    Bench, DeviceChoice, EngineError, MemoryOptions, Pinned, Progress, Task,
    device::{Finding, choose, regret},
    shelf::Shelf,
    wear::enlarged,
};
use crate::models::{
    Catalogue, Model, ModelFiles,
    loras::LoraFile,
    words::{self, WordFile},
};
use fresco_api::{ApiError, ErrorCode, ModelId, Params};
use fresco_diffusion::{Candidate, LoadError, Output, Pipeline, RunError, model::Conditioning, weights::lora::Patches};
use loaded::{Asked, Loaded, patches};
use plan::Plan;
use std::{io, sync::Arc};

/// Starts the engine's thread, which chooses its device in the background.
///
/// # Errors
/// When the system gives no thread.
pub fn start(catalogue: Arc<Catalogue>, wanted: DeviceChoice) -> io::Result<Pinned> {
    start_with(catalogue, wanted, MemoryOptions::default())
}

/// The same, with what a user says about memory.
///
/// # Errors
/// When the system gives no thread.
pub fn start_with(catalogue: Arc<Catalogue>, wanted: DeviceChoice, memory: MemoryOptions) -> io::Result<Pinned> {
    let make = move || Local {
        catalogue: catalogue.clone(),
        wanted,
        memory: memory.clone(),
        device: None,
        shelf: Shelf::default(),
    };
    Pinned::start(make)
}

struct Local {
    catalogue: Arc<Catalogue>,
    wanted: DeviceChoice,
    memory: MemoryOptions,
    device: Option<Candidate>,
    /// The models that are loaded.
    shelf: Shelf<Loaded>,
}

/// A model that is wanted, and what for.
struct Order<'a> {
    /// As the catalogue gave it: files that change become another entry, and are loaded anew.
    model: Arc<Model>,
    loras: Vec<LoraFile>,
    words: Vec<WordFile>,
    size: (u32, u32),
    /// The prompts that will be read; none to load ahead.
    params: Option<&'a Params>,
}

impl Bench for Local {
    fn open(&mut self) -> Result<String, ApiError> {
        let verdicts = choose(self.wanted);
        let chosen = verdicts.iter().find(|verdict| verdict.finding == Finding::Chosen);
        let chosen = chosen.ok_or_else(|| ApiError::new(ErrorCode::Device, regret(self.wanted, &verdicts)))?;
        self.device = Some(chosen.candidate.clone());
        tracing::info!("models run on {}", chosen.name());
        Ok(chosen.name())
    }

    fn run(&mut self, task: &Task, mut progress: Progress) -> Result<Output, EngineError> {
        let (params, catalogue) = (&task.params, self.catalogue.clone());
        let model = catalogue.find(Some(&params.model))?;
        let extras = catalogue.extras(params, &task.extras, &model)?;
        catalogue.check_noted(params, &extras)?;
        futures_executor::block_on(async {
            let (loras, words) = (extras.loras.clone(), extras.words.clone());
            let order = Order { model, loras, words, size: (params.width, params.height), params: Some(params) };
            let mut loaded = self.ready(order, &mut progress).await?;
            let output = Box::pin(loaded.draw(task, &extras, &catalogue, &mut progress)).await;
            self.keep(loaded);
            match (&extras.upscaler, output?) {
                (None, output) => Ok(output),
                (Some(upscaler), output) => {
                    let device = self.device.as_ref().ok_or_else(no_device)?;
                    enlarged(output, upscaler, &device.device, &mut progress).await
                }
            }
        })
    }

    fn load(&mut self, model: &ModelId, mut progress: Progress) -> Result<(), EngineError> {
        let model = self.catalogue.find(Some(model))?;
        futures_executor::block_on(async {
            let side = model.info.default_side;
            let order = Order { model, loras: Vec::new(), words: Vec::new(), size: (side, side), params: None };
            let loaded = self.ready(order, &mut progress).await?;
            self.keep(loaded);
            Ok(())
        })
    }

    fn unload(&mut self, model: Option<&ModelId>) -> usize {
        let mut gone = 0;
        while self.shelf.take(|loaded| model.is_none_or(|model| loaded.model.info.id == *model)).is_some() {
            gone += 1;
        }
        self.tidy(gone > 0);
        gone
    }

    fn loaded(&self) -> Vec<ModelId> {
        self.shelf.iter().map(|loaded| loaded.model.info.id.clone()).collect()
    }
}

impl Local {
    fn keep(&mut self, loaded: Loaded) {
        self.shelf.put(loaded.bytes(), loaded);
    }

    /// Asks the device to give back what was let go of.
    fn tidy(&self, needed: bool) {
        if let Some(device) = self.device.as_ref().filter(|_| needed) {
            Pipeline::tidy(&device.device);
        }
    }

    /// The model of an order, ready to draw and not on the shelf.
    async fn ready(&mut self, order: Order<'_>, progress: &mut Progress) -> Result<Loaded, EngineError> {
        let model = &order.model;
        // What was loaded from files that have changed since is of no use.
        while self
            .shelf
            .take(|other| other.model.info.id == model.info.id && !Arc::ptr_eq(&other.model, model))
            .is_some()
        {}
        let mut known = self.shelf.take(|other| Arc::ptr_eq(&other.model, model));
        // Each of these steps is a large state of its own; on the heap they do not add up on the thread's stack.
        match Box::pin(self.prepare(&order, &mut known, progress)).await {
            Ok(loaded) => Ok(loaded),
            Err(error) => {
                // What nothing was done to stays for the next run.
                known.into_iter().for_each(|known| self.keep(known));
                Err(error)
            }
        }
    }

    /// Makes a model ready: out of `known`, which is left there while nothing was done to it, or by loading it.
    async fn prepare(
        &mut self,
        order: &Order<'_>,
        known: &mut Option<Loaded>,
        progress: &mut Progress,
    ) -> Result<Loaded, EngineError> {
        let device = self.device.clone().ok_or_else(no_device)?;
        let files = &order.model.files;
        let facts = match known {
            Some(known) => known.pipeline.facts().clone(),
            None => Pipeline::inspect(files).await?,
        };
        let patches = patches(&facts, files, &order.loras).await?;
        let outline = facts.outline();
        let held = self.shelf.bytes() + known.as_ref().map_or(0, Loaded::bytes);
        let plan = match known.as_ref().and_then(|known| known.planned(order.size)) {
            // To ask the system again would take longer than many a step.
            Some(plan) => plan,
            None => {
                let had = known.as_ref().map(|known| known.plan.savings.precision);
                Plan::new(&outline, order.size, self.memory.room(&device, held), self.memory.wish(), had)?
            }
        };
        let savings = plan.savings;
        if known.as_ref().is_some_and(|known| known.plan.savings.precision != savings.precision) {
            *known = None;
        }
        let gone = self.shelf.make_room(plan.room, plan.need.peak);
        self.tidy(gone > 0);
        let told = match order.params.filter(|_| savings.offload) {
            Some(params) => Some(Box::pin(self.told(order, params, &plan, known, &patches, progress)).await?),
            None => None,
        };
        let mut loaded = match known.take() {
            Some(known) => known,
            None => {
                let shared = Box::pin(shared::texts(&self.shelf, &self.catalogue, &facts, files, savings)).await;
                let (device, options) = (&device.device, plan.options());
                let pipeline = Box::pin(Pipeline::load_sharing(files, device, options, shared, progress)).await?;
                Loaded::new(order.model.clone(), pipeline, outline, plan)
            }
        };
        loaded = Box::pin(loaded.with_loras(&order.loras, &patches, progress)).await?;
        Box::pin(loaded.settle(plan, &patches, told, progress)).await?;
        tracing::debug!("{} runs with {savings}: {} bytes at most", order.model.info.id, plan.need.peak);
        Ok(loaded)
    }

    /// What the prompts say, by text encoders that leave again: nothing is read where the last prompts were the same.
    async fn told(
        &self,
        order: &Order<'_>,
        params: &Params,
        plan: &Plan,
        known: &mut Option<Loaded>,
        patches: &Patches<ModelFiles>,
        progress: &mut Progress,
    ) -> Result<(Asked, Conditioning), EngineError> {
        let asked = Asked::of(params, &order.loras, &order.words);
        if let Some(told) = known.as_ref().and_then(|known| known.told(&asked)) {
            return Ok((asked, told));
        }
        // Only where both fit does the denoiser stay while the prompt is read.
        if plan.room.is_some_and(|room| plan.need.text + plan.need.resting > room) {
            *known = None;
        }
        if let Some(known) = known {
            known.pipeline.drop_text_encoders();
        }
        self.tidy(true);
        let device = self.device.as_ref().ok_or_else(no_device)?;
        let (files, options) = (&order.model.files, plan.options());
        let words = words::read(&order.words).await?;
        let asking = (params, words.as_slice());
        let told = Pipeline::read_prompts(files, patches, &device.device, options, asking, progress).await?;
        self.tidy(true);
        Ok((asked, told))
    }
}

fn no_device() -> ApiError {
    ApiError::new(ErrorCode::Device, "No device is open")
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

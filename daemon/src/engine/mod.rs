//! An engine turns parameters into a picture.
//!
//! [`thread`] pins one to a thread of its own; [`local`] is the one that runs models on this machine, within the
//! memory that [`memory`] says there is; [`fake`] is the one for tests.

pub mod device;
pub mod fake;
pub mod local;
pub mod memory;
mod previews;
mod shelf;
pub mod thread;
mod trouble;
mod wear;

pub use device::DeviceChoice;
pub use memory::{Gauge, MemoryOptions};
pub use previews::Previews;
pub use thread::{Bench, Pinned, THREAD};
pub use tokio_util::sync::CancellationToken;

use crate::models::Extras;
use fresco_api::{ApiError, ErrorCode, ModelId, Params};
use fresco_diffusion::{Observer, Output, Picture, Prepared, Stage};
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use std::{ops::ControlFlow, sync::Arc};
use tokio::sync::{mpsc, watch};

/// Something that makes pictures.
pub trait Engine: Send + Sync + 'static {
    /// One picture. Dropping the future abandons the work at its next step.
    fn generate(&self, task: Task, progress: Progress) -> BoxFuture<'static, Result<Made, EngineError>>;

    /// The device that runs models, once it has been chosen.
    fn device(&self) -> Option<String>;

    /// Loads a model ahead of its first job.
    fn load(&self, _model: ModelId, _progress: Progress) -> BoxFuture<'static, Result<(), EngineError>> {
        ready(Err(elsewhere().into())).boxed()
    }

    /// Lets go of a model, or of all; how many were loaded.
    fn unload(&self, _model: Option<ModelId>) -> BoxFuture<'static, Result<usize, EngineError>> {
        ready(Err(elsewhere().into())).boxed()
    }

    /// The models that are loaded, the one used last at the end.
    fn loaded(&self) -> Vec<ModelId> {
        Vec::new()
    }
}

/// What an engine says that holds no models here.
fn elsewhere() -> ApiError {
    ApiError::new(ErrorCode::Conflict, "This engine loads no models here")
}

/// What an engine is to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// The complete parameters.
    pub params: Params,
    /// The pictures that their edit speaks of.
    pub pictures: Option<Arc<Prepared>>,
    /// Files besides those that the parameters name.
    pub extras: Extras,
}

impl From<Params> for Task {
    fn from(params: Params) -> Self {
        Self { params, pictures: None, extras: Extras::default() }
    }
}

/// What an engine made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The picture and its latents.
    pub output: Output,
    /// The device that made it.
    pub device: String,
}

/// Why an engine made nothing.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It was asked to stop.
    #[error("Cancelled")]
    Cancelled,
    /// It could not.
    #[error(transparent)]
    Failed(#[from] ApiError),
}

/// A job's line to whoever waits for it: stages go out, the wish to stop comes in.
#[derive(Clone, Debug)]
pub struct Progress {
    stages: mpsc::UnboundedSender<Stage>,
    cancel: CancellationToken,
    previews: Option<Previews>,
}

impl Progress {
    /// A line that `cancel` stops, and its other end. The channel holds at most a run's stages.
    pub fn new(cancel: CancellationToken) -> (Self, mpsc::UnboundedReceiver<Stage>) {
        let (stages, heard) = mpsc::unbounded_channel();
        (Self { stages, cancel, previews: None }, heard)
    }

    /// The same line with previews, and where the newest of them is, as a data URL.
    pub fn with_previews(self) -> (Self, watch::Receiver<Option<String>>) {
        let (previews, newest) = Previews::new();
        (Self { previews: Some(previews), ..self }, newest)
    }

    /// Tells that `stage` is reached; `Break` asks to stop there.
    pub fn tell(&self, stage: Stage) -> ControlFlow<()> {
        // Nobody may listen, which is no reason to stop.
        _ = self.stages.send(stage);
        if self.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether the work is no longer wanted.
    pub fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Whether somebody wants to see the run before it is finished.
    fn shows_previews(&self) -> bool {
        self.previews.is_some()
    }

    /// The same line, stopped also when the returned token is.
    fn child(&self) -> (Self, CancellationToken) {
        let cancel = self.cancel.child_token();
        (Self { cancel: cancel.clone(), ..self.clone() }, cancel)
    }
}

impl Observer for Progress {
    async fn reached(&mut self, stage: Stage) -> ControlFlow<()> {
        self.tell(stage)
    }

    fn wants_preview(&mut self) -> bool {
        self.previews.as_mut().is_some_and(Previews::due)
    }

    async fn preview(&mut self, picture: Picture) {
        if let Some(previews) = &self.previews {
            previews.show(&picture);
        }
    }
}

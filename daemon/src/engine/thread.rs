//! One thread that owns a device and everything on it, with an asynchronous handle in front.
//!
//! Burn orders its work by thread and panics when a device fails, so nothing else may touch the
//! device, and a panic must end one job and not the daemon: the bench is thrown away and a new one
//! is made.

use super::{Engine, EngineError, Made, Progress, Task, elsewhere, trouble};
use fresco_api::{ApiError, ErrorCode, ModelId};
use futures_util::{FutureExt, future::BoxFuture};
use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// The thread's name, by which the panic hook knows it.
pub const THREAD: &str = "fresco-engine";
/// The thread's stack: as much as a program's own thread has. Models are loaded by deeply nested futures.
const STACK: usize = 8 << 20;

/// What runs on the thread. Made there and dropped there, so it need not be `Send`.
pub trait Bench {
    /// Opens the device; its name. Called before the first job, and after a failure.
    ///
    /// # Errors
    /// When no device works.
    fn open(&mut self) -> Result<String, ApiError>;

    /// One picture, on the device that `open` opened.
    ///
    /// # Errors
    /// When it was cancelled or could not be made.
    fn run(&mut self, task: &Task, progress: Progress) -> Result<fresco_diffusion::Output, EngineError>;

    /// Loads a model ahead of its first job.
    ///
    /// # Errors
    /// When it was cancelled or cannot be loaded.
    fn load(&mut self, _model: &ModelId, _progress: Progress) -> Result<(), EngineError> {
        Err(elsewhere().into())
    }

    /// Lets go of a model, or of all; how many went.
    fn unload(&mut self, _model: Option<&ModelId>) -> usize {
        0
    }

    /// The models that are loaded, the one used last at the end.
    fn loaded(&self) -> Vec<ModelId> {
        Vec::new()
    }
}

type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

enum Command {
    Generate(Box<Task>, Progress, Reply<Made>),
    Load(ModelId, Progress, Reply<()>),
    Unload(Option<ModelId>, Reply<usize>),
}

/// What the thread says about itself.
#[derive(Default)]
struct Known {
    device: Option<String>,
    loaded: Vec<ModelId>,
}

/// The handle of a bench on its own thread, which ends with the handle.
pub struct Pinned {
    commands: mpsc::Sender<Command>,
    known: Arc<Mutex<Known>>,
}

impl Pinned {
    /// Starts the thread. It calls `make` for its bench, opens the device at once, and calls `make`
    /// again when the bench has panicked.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<B: Bench>(make: impl Fn() -> B + Send + 'static) -> io::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        let known = Arc::default();
        let told = Arc::clone(&known);
        let attend = move || Attendant { make, bench: None, known: told }.attend(inbox);
        thread::Builder::new().name(THREAD.to_owned()).stack_size(STACK).spawn(attend)?;
        Ok(Self { commands, known })
    }

    /// Sends a command with a line for its progress; who drops the future stops the work.
    fn ask<T: Send + 'static>(
        &self,
        progress: Progress,
        command: impl FnOnce(Progress, Reply<T>) -> Command,
    ) -> BoxFuture<'static, Result<T, EngineError>> {
        let (reply, answer) = oneshot::channel();
        let (progress, abandon) = progress.child();
        let sent = self.commands.send(command(progress, reply));
        // Made here and not in the future, which may be dropped before it is ever polled.
        let abandon = abandon.drop_guard();
        async move {
            let _abandon = abandon;
            let gone = || ApiError::new(ErrorCode::Internal, "The engine has stopped");
            sent.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        }
        .boxed()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Pinned {
    fn generate(&self, task: Task, progress: Progress) -> BoxFuture<'static, Result<Made, EngineError>> {
        self.ask(progress, |progress, reply| Command::Generate(Box::new(task), progress, reply))
    }

    fn device(&self) -> Option<String> {
        self.known().device.clone()
    }

    fn load(&self, model: ModelId, progress: Progress) -> BoxFuture<'static, Result<(), EngineError>> {
        self.ask(progress, |progress, reply| Command::Load(model, progress, reply))
    }

    fn unload(&self, model: Option<ModelId>) -> BoxFuture<'static, Result<usize, EngineError>> {
        let progress = Progress::new(CancellationToken::new()).0;
        self.ask(progress, |_, reply| Command::Unload(model, reply))
    }

    fn loaded(&self) -> Vec<ModelId> {
        self.known().loaded.clone()
    }
}

struct Attendant<B, F> {
    make: F,
    bench: Option<B>,
    known: Arc<Mutex<Known>>,
}

impl<B: Bench, F: Fn() -> B> Attendant<B, F> {
    fn attend(mut self, inbox: mpsc::Receiver<Command>) {
        if let Err(error) = self.open() {
            tracing::warn!("no device yet: {error}");
        }
        for command in inbox {
            // Whoever asked may be gone by now.
            match command {
                Command::Generate(task, progress, reply) => {
                    let unwanted = progress.cancelled();
                    _ = reply.send(if unwanted { Err(EngineError::Cancelled) } else { self.make(&task, progress) });
                }
                Command::Load(model, progress, reply) => {
                    let loaded = self.open().map_err(EngineError::from);
                    let loaded = loaded.and_then(|_| self.working(|bench| bench.load(&model, progress)));
                    self.remember();
                    _ = reply.send(loaded);
                }
                Command::Unload(model, reply) => {
                    let gone = self.guarded(|bench| bench.unload(model.as_ref()));
                    self.remember();
                    _ = reply.send(gone.map_err(EngineError::from));
                }
            }
        }
    }

    fn make(&mut self, task: &Task, progress: Progress) -> Result<Made, EngineError> {
        let device = self.open()?;
        let output = self.working(|bench| bench.run(task, progress));
        self.remember();
        Ok(Made { output: output?, device })
    }

    /// Runs `work` on the bench, which is thrown away where the device failed: the next job opens it anew.
    fn working<T>(&mut self, work: impl FnOnce(&mut B) -> Result<T, EngineError>) -> Result<T, EngineError> {
        match self.guarded(work)? {
            Err(EngineError::Failed(error)) if error.code == ErrorCode::Device => {
                self.throw_away();
                Err(trouble::explained(error).into())
            }
            other => other,
        }
    }

    /// Tells which models are loaded now.
    fn remember(&self) {
        let loaded = self.bench.as_ref().map_or_else(Vec::new, Bench::loaded);
        self.known().loaded = loaded;
    }

    fn throw_away(&mut self) {
        let bench = self.bench.take();
        // A broken device may panic once more when its tensors are freed.
        _ = catch_unwind(AssertUnwindSafe(|| drop(bench)));
        *self.known() = Known::default();
    }

    /// The device's name, opened if it is not.
    fn open(&mut self) -> Result<String, ApiError> {
        let name = self.known().device.clone();
        if let (Some(_), Some(name)) = (&self.bench, name) {
            return Ok(name);
        }
        let name = self.guarded(|bench| bench.open())??;
        self.known().device = Some(name.clone());
        Ok(name)
    }

    /// Runs `work` on the bench. A panic throws the bench away and becomes an error.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut B) -> T) -> Result<T, ApiError> {
        // The bench is not used again after a panic, so nobody sees it half changed.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let bench = self.bench.get_or_insert_with(&self.make);
            work(bench)
        }));
        ran.map_err(|panic| {
            self.throw_away();
            let reason = sentence(&*panic);
            tracing::error!("the engine panicked and is started again: {reason}");
            trouble::device_failed(reason)
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first line of what a panic said.
pub(super) fn sentence(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().find(|line| !line.trim().is_empty())).unwrap_or("it gave no reason")
}

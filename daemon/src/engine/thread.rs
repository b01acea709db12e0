//! One thread that owns a device and everything on it, with an asynchronous handle in front.
//!
//! Burn orders its work by thread and panics when a device fails, so nothing else may touch the
//! device, and a panic must end one job and not the daemon: the bench is thrown away and a new one
//! is made.

use super::{Engine, EngineError, Made, Progress, Task};
use fresco_api::{ApiError, ErrorCode};
use futures_util::{FutureExt, future::BoxFuture};
use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};
use tokio::sync::oneshot;

/// The thread's name, by which the panic hook knows it.
pub const THREAD: &str = "fresco-engine";

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
}

struct Command {
    task: Task,
    progress: Progress,
    reply: oneshot::Sender<Result<Made, EngineError>>,
}

/// The handle of a bench on its own thread, which ends with the handle.
pub struct Pinned {
    commands: mpsc::Sender<Command>,
    device: Arc<Mutex<Option<String>>>,
}

impl Pinned {
    /// Starts the thread. It calls `make` for its bench, opens the device at once, and calls `make`
    /// again when the bench has panicked.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<B: Bench>(make: impl Fn() -> B + Send + 'static) -> io::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        let device = Arc::default();
        let named = Arc::clone(&device);
        let attend = move || Attendant { make, bench: None, device: named }.attend(inbox);
        thread::Builder::new().name(THREAD.to_owned()).spawn(attend)?;
        Ok(Self { commands, device })
    }
}

impl Engine for Pinned {
    fn generate(&self, task: Task, progress: Progress) -> BoxFuture<'static, Result<Made, EngineError>> {
        let (reply, answer) = oneshot::channel();
        let (progress, abandon) = progress.child();
        let sent = self.commands.send(Command { task, progress, reply });
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

    fn device(&self) -> Option<String> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Attendant<B, F> {
    make: F,
    bench: Option<B>,
    device: Arc<Mutex<Option<String>>>,
}

impl<B: Bench, F: Fn() -> B> Attendant<B, F> {
    fn attend(mut self, inbox: mpsc::Receiver<Command>) {
        if let Err(error) = self.open() {
            tracing::warn!("no device yet: {error}");
        }
        for Command { task, progress, reply } in inbox {
            // Whoever asked may be gone by now.
            let made = if progress.cancelled() { Err(EngineError::Cancelled) } else { self.make(&task, progress) };
            _ = reply.send(made);
        }
    }

    fn make(&mut self, task: &Task, progress: Progress) -> Result<Made, EngineError> {
        let device = self.open()?;
        let output = self.guarded(|bench| bench.run(task, progress))?;
        // A device that was lost says so by an error too; the next job opens it anew.
        if matches!(&output, Err(EngineError::Failed(error)) if error.code == ErrorCode::Device) {
            self.throw_away();
        }
        Ok(Made { output: output?, device })
    }

    fn throw_away(&mut self) {
        let bench = self.bench.take();
        // A broken device may panic once more when its tensors are freed.
        _ = catch_unwind(AssertUnwindSafe(|| drop(bench)));
        *self.name() = None;
    }

    /// The device's name, opened if it is not.
    fn open(&mut self) -> Result<String, ApiError> {
        if let (Some(_), Some(name)) = (&self.bench, self.name().clone()) {
            return Ok(name);
        }
        let name = self.guarded(|bench| bench.open())??;
        *self.name() = Some(name.clone());
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
            ApiError::new(ErrorCode::Device, format!("The device failed: {reason}"))
        })
    }

    fn name(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first line of what a panic said.
pub(super) fn sentence(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().find(|line| !line.trim().is_empty())).unwrap_or("it gave no reason")
}

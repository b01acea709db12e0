//! The queue: jobs go in, a worker takes them out, listeners hear what happens.
//!
//! [`store`] has the truth, [`worker`] does the work, and this handle ties them to the events.

mod events;
mod memory;
pub mod store;
mod stream;
pub mod worker;

pub use memory::MemoryStore;
pub(crate) use stream::Story;

use crate::engine::Task;
use events::EventLogs;
use fresco_api::{AnyRequest, ApiError, ErrorCode, Job, JobEvent, JobId, JobKind, JobStatus, QueueStatus};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use store::{Cancel, Filter, JobStore, Lease, NewJob, StoreError, Submitted};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Logs of ended jobs are kept for so many; a store may remember more.
const LOGS_KEPT: usize = 500;

/// A handle of the queue; clones are the same queue.
#[derive(Clone)]
pub struct Queue(Arc<Shared>);

struct Shared {
    store: Arc<dyn JobStore>,
    events: EventLogs,
    /// Jobs that an engine of this process works on, and how to stop them.
    running: Mutex<HashMap<JobId, CancellationToken>>,
    /// Wakes the worker.
    work: Notify,
    /// Held while a job is claimed and while waiting jobs are told their place, so that none is told
    /// that it waits after it has begun.
    turn: tokio::sync::Mutex<()>,
}

/// Why the queue did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Too many wait.
    #[error("The queue is full: {limit} jobs wait. Try again later")]
    Full {
        /// Jobs that may wait.
        limit: usize,
    },
    /// Too many pictures wait.
    #[error("The queue holds pictures of {limit} bytes and has no room for more. Try again later")]
    NoRoom {
        /// Bytes that may be held.
        limit: usize,
    },
    /// There is no such job, or it is forgotten.
    #[error("There is no such job")]
    Unknown,
    /// It is final, and cannot be stopped any more.
    #[error("The job is {0} already")]
    Over(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        let code = match error {
            QueueError::Full { .. } | QueueError::NoRoom { .. } => ErrorCode::Busy,
            QueueError::Unknown => ErrorCode::NotFound,
            QueueError::Over(_) => ErrorCode::Conflict,
            QueueError::Store(_) => ErrorCode::Internal,
        };
        ApiError::new(code, error.to_string())
    }
}

impl Queue {
    /// A queue over a store.
    pub fn new(store: Arc<dyn JobStore>) -> Self {
        let events = EventLogs::new(LOGS_KEPT);
        let (running, work, turn) = (Mutex::default(), Notify::new(), tokio::sync::Mutex::default());
        Self(Arc::new(Shared { store, events, running, work, turn }))
    }

    /// Puts a picture's job at the end.
    ///
    /// # Errors
    /// When the queue is full.
    pub async fn submit(&self, kind: JobKind, request: AnyRequest, task: Task) -> Result<Job, QueueError> {
        let id = JobId(Uuid::now_v7().to_string());
        let new = NewJob { id: id.clone(), kind, request, params: task.params, pictures: task.pictures };
        let turn = self.0.turn.lock().await;
        match self.0.store.submit(new, SystemTime::now()).await? {
            Submitted::Full { limit } => return Err(QueueError::Full { limit }),
            Submitted::NoRoom { limit } => return Err(QueueError::NoRoom { limit }),
            Submitted::Accepted { ahead } => self.0.events.push(&id, JobEvent::Queued { ahead }),
        }
        drop(turn);
        self.0.work.notify_one();
        tracing::info!(job = %id, "queued");
        self.job(&id).await
    }

    /// One job.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn job(&self, id: &JobId) -> Result<Job, QueueError> {
        self.0.store.job(id).await?.ok_or(QueueError::Unknown)
    }

    /// The newest jobs, without their pictures.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn newest(&self, filter: Filter) -> Result<Vec<Job>, QueueError> {
        Ok(self.0.store.newest(filter).await?)
    }

    /// The queue in numbers.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn status(&self) -> Result<QueueStatus, QueueError> {
        Ok(self.0.store.status().await?)
    }

    /// Stops a job; as it is afterwards. A running one is told at once and ends at its next step.
    ///
    /// # Errors
    /// When there is none of that name, or it has ended otherwise.
    pub async fn cancel(&self, id: &JobId) -> Result<Job, QueueError> {
        match self.0.store.cancel(id, SystemTime::now()).await? {
            Cancel::Unknown => return Err(QueueError::Unknown),
            Cancel::Already(JobStatus::Cancelled) => {}
            Cancel::Already(JobStatus::Failed) => return Err(QueueError::Over("failed")),
            Cancel::Already(_) => return Err(QueueError::Over("completed")),
            Cancel::Cancelled => self.ended(id).await?,
            Cancel::Requested => {
                if let Some(token) = self.running().get(id) {
                    token.cancel();
                }
            }
        }
        self.job(id).await
    }

    /// A job's events after a number; 0 is before the first.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) async fn story(&self, id: &JobId, after: u64) -> Result<Story, QueueError> {
        let job = self.job(id).await?;
        let log = self.0.events.of(id, job.status.is_final());
        Ok(Story::new(self.clone(), job, log, after))
    }

    /// Tells a job's listeners that it is final, and those behind it that they moved up.
    async fn ended(&self, id: &JobId) -> Result<(), StoreError> {
        self.0.events.end(id);
        let _turn = self.0.turn.lock().await;
        let processing = self.0.store.status().await?.processing_jobs;
        for (place, waiting) in (0..).zip(self.0.store.waiting().await?) {
            self.0.events.push(&waiting, JobEvent::Queued { ahead: processing + place });
        }
        Ok(())
    }

    /// Takes the job at the head of the queue.
    async fn claim(&self, lease: Duration) -> Result<Option<Lease>, StoreError> {
        let _turn = self.0.turn.lock().await;
        self.0.store.claim(SystemTime::now(), lease).await
    }

    fn running(&self) -> MutexGuard<'_, HashMap<JobId, CancellationToken>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

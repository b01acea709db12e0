//! The queue: jobs go in, workers take them out, listeners hear what happens.
//!
//! [`store`] has the truth, [`worker`] does the work, and this handle ties them to the events.

mod answers;
mod edits;
mod error;
mod events;
mod feed;
mod memory;
mod pictures;
mod policy;
mod report;
mod show;
mod sql;
pub mod store;
mod stream;
mod take_in;
mod tell;
pub mod worker;

pub use error::QueueError;
pub use memory::MemoryStore;
pub(crate) use show::View;
pub use sql::SqliteStore;
pub(crate) use stream::{Feedings, Story};
pub(crate) use take_in::plain_job;

use crate::{images::Blobs, models::Catalogue};
use events::EventLogs;
use feed::Feed;
use fresco_api::{Batch, BatchId, Job, JobId, ModelId, QueueStatus};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use store::{Filter, JobStore, Lease, StoreError, Stored};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Logs of ended jobs are kept for so many; the store remembers the last events of all.
const LOGS_KEPT: usize = 500;

/// A handle of the queue; clones are the same queue.
#[derive(Clone)]
pub struct Queue(Arc<Shared>);

struct Shared {
    store: Arc<dyn JobStore>,
    blobs: Blobs,
    /// Tells the files apart that make pictures.
    catalogue: Arc<Catalogue>,
    events: EventLogs,
    feed: Feed,
    /// Jobs that an engine of this process works on.
    running: Mutex<HashMap<JobId, Running>>,
    /// The model that ran last, and is loaded.
    loaded: Mutex<Option<ModelId>>,
    /// Wakes a worker.
    work: Notify,
}

/// A job that an engine works on.
struct Running {
    /// Stops it.
    cancel: CancellationToken,
    /// How far it is.
    percent: u8,
}

/// A name that no job or batch had before; names sort by time.
pub(crate) fn new_name() -> String {
    Uuid::now_v7().to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// A queue over a store, the place where pictures lie, and the models that make them.
    pub fn new(store: Arc<dyn JobStore>, blobs: Blobs, catalogue: Arc<Catalogue>) -> Self {
        let (events, feed) = (EventLogs::new(LOGS_KEPT), Feed::new());
        let (running, loaded, work) = (Mutex::default(), Mutex::default(), Notify::new());
        Self(Arc::new(Shared { store, blobs, catalogue, events, feed, running, loaded, work }))
    }

    /// One job as it is stored.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) async fn stored(&self, id: &JobId) -> Result<Stored, QueueError> {
        self.0.store.job(id).await?.ok_or(QueueError::Unknown)
    }

    /// The newest jobs, without their pictures.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn newest(&self, filter: Filter) -> Result<Vec<Job>, QueueError> {
        Ok(self.0.store.newest(filter).await?)
    }

    /// A batch, and whose it is.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) async fn batch(&self, id: &BatchId) -> Result<(Batch, String), QueueError> {
        self.0.store.batch(id).await?.ok_or(QueueError::Unknown)
    }

    /// The queue in numbers.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn status(&self) -> Result<QueueStatus, QueueError> {
        Ok(self.0.store.status().await?)
    }

    /// Gives out no jobs any more, or does so again.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn pause(&self, paused: bool) -> Result<QueueStatus, QueueError> {
        self.0.store.pause(paused).await?;
        self.0.work.notify_waiters();
        self.0.work.notify_one();
        self.status().await
    }

    /// A job's events after a number; 0 is before the first.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) async fn story(&self, id: &JobId, view: View, after: u64) -> Result<Story, QueueError> {
        let log = self.0.events.of(&self.stored(id).await?);
        Ok(Story::new(self.clone(), view, id.clone(), log, after))
    }

    /// The events of an owner's jobs after a number; without one, from now on.
    pub(crate) fn feed(&self, owner: String, after: Option<u64>) -> Feedings {
        Feedings::new(self.clone(), owner, after)
    }

    /// Takes the job whose turn it is.
    async fn claim(&self, lease: Duration) -> Result<Option<Lease>, StoreError> {
        let loaded = lock(&self.0.loaded).clone();
        let Some(lease) = self.0.store.claim(SystemTime::now(), lease, loaded).await? else { return Ok(None) };
        self.log(&lease).await.begin();
        Ok(Some(lease))
    }

    /// Takes back leases: those that ran out, or with `all` those of a program that is gone.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn sweep(&self, all: bool) -> Result<(), StoreError> {
        let swept = self.0.store.sweep(SystemTime::now(), all).await?;
        for id in &swept.requeued {
            tracing::warn!(job = %id, "its worker is gone; it waits again");
            if let Some(log) = self.0.events.known(id) {
                log.wait();
            }
        }
        for id in &swept.ended {
            self.ended_alone(id, None).await;
        }
        if !swept.requeued.is_empty() || !swept.ended.is_empty() {
            self.0.work.notify_one();
            self.moved_up().await?;
        }
        Ok(())
    }
}

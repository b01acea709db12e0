//! What listeners are told.

use super::{
    Queue, View,
    events::EventLog,
    store::{Lease, StoreError},
};
use fresco_api::{JobEvent, JobId};
use std::{sync::Arc, time::SystemTime};

/// So many jobs are told when they move up.
const TOLD_PLACES: usize = 16;

impl Queue {
    /// Tells a job's listeners of an event, unless it says nothing new.
    pub(super) fn tell(&self, id: &JobId, log: &EventLog, event: JobEvent) {
        if log.push(event.clone()) {
            self.0.feed.push(&log.owner, id, event);
        }
    }

    /// Tells a job's listeners that it is final.
    pub(super) async fn ended_alone(&self, id: &JobId, last: Option<u64>) {
        self.0.events.end(id, last);
        let Ok(stored) = self.stored(id).await else { return };
        let owner: Arc<str> = stored.owner.as_str().into();
        if let Some(event) = self.final_event(stored, View::Feed).await {
            self.0.feed.push(&owner, id, event);
        }
    }

    /// Tells a job's listeners that it is final, and those behind it that they moved up.
    pub(super) async fn ended(&self, id: &JobId, last: Option<u64>) -> Result<(), StoreError> {
        self.ended_alone(id, last).await;
        self.moved_up().await
    }

    /// Tells the jobs at the head of the queue their place.
    pub(super) async fn moved_up(&self) -> Result<(), StoreError> {
        let line = self.0.store.line(TOLD_PLACES, SystemTime::now()).await?;
        if line.is_empty() {
            return Ok(());
        }
        let processing = self.0.store.status().await?.processing_jobs;
        for (ahead, id) in (processing..).zip(&line) {
            if let Some(log) = self.0.events.known(id) {
                self.tell(id, &log, JobEvent::Queued { ahead });
            }
        }
        Ok(())
    }

    /// The log of a job that runs.
    pub(super) async fn log(&self, lease: &Lease) -> Arc<EventLog> {
        if let Some(log) = self.0.events.known(&lease.job) {
            return log;
        }
        match self.0.store.job(&lease.job).await {
            Ok(Some(stored)) => self.0.events.of(&stored),
            // Nobody listens to a job that is not there.
            _ => Arc::new(EventLog::new(lease.owner.as_str().into())),
        }
    }

    /// Tells a job's listeners that what it waited for is there.
    pub(super) async fn released(&self, id: &JobId) -> Result<(), StoreError> {
        let Some(stored) = self.0.store.job(id).await? else { return Ok(()) };
        self.tell(id, &self.0.events.of(&stored), JobEvent::Queued { ahead: 0 });
        Ok(())
    }
}

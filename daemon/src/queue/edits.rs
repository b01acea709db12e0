//! What owners do to their jobs.

use super::{
    Queue, QueueError, lock,
    store::{Cancel, Changed, Kept, Spot},
};
use fresco_api::{BatchId, JobEvent, JobId, JobStatus, Priority};
use futures_util::future::join_all;
use std::time::SystemTime;

impl Queue {
    /// Stops a job. A running one is told at once and ends at its next step.
    ///
    /// # Errors
    /// When there is none of that name, or it has ended otherwise.
    pub(crate) async fn cancel(&self, id: &JobId) -> Result<(), QueueError> {
        self.cancel_alone(id).await?;
        Ok(self.moved_up().await?)
    }

    /// Stops every job of a batch that has not ended: first those that wait, so that none of them begins.
    ///
    /// # Errors
    /// When there is no such batch, or the store fails.
    pub(crate) async fn cancel_batch(&self, id: &BatchId) -> Result<(), QueueError> {
        let (batch, _) = self.batch(id).await?;
        for status in [JobStatus::Queued, JobStatus::Processing] {
            let jobs = batch.jobs.iter().filter(|job| job.status == status);
            for ended in join_all(jobs.map(|job| self.cancel_alone(&job.id))).await {
                match ended {
                    Ok(()) | Err(QueueError::Over(_) | QueueError::Unknown) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(self.moved_up().await?)
    }

    async fn cancel_alone(&self, id: &JobId) -> Result<(), QueueError> {
        let kept = self.0.events.known(id).map_or_else(Kept::default, |log| log.kept_at_cancel());
        let last = kept.last;
        match self.0.store.cancel(id, SystemTime::now(), kept).await? {
            Cancel::Unknown => return Err(QueueError::Unknown),
            Cancel::Already(JobStatus::Cancelled) => {}
            Cancel::Already(status) => return Err(QueueError::Over(status)),
            Cancel::Cancelled(ids) => {
                for ended in &ids {
                    self.ended_alone(ended, last.filter(|_| ended == id)).await;
                }
            }
            Cancel::Requested => {
                if let Some(running) = lock(&self.0.running).get(id) {
                    running.cancel.cancel();
                }
            }
        }
        Ok(())
    }

    /// Puts a job that failed or was stopped into the queue again.
    ///
    /// # Errors
    /// When there is none of that name, it did not fail, or the queue is full.
    pub(crate) async fn retry(&self, id: &JobId) -> Result<(), QueueError> {
        let before = self.stored(id).await?;
        if !matches!(before.job.status, JobStatus::Failed | JobStatus::Cancelled) {
            return changed(Changed::Not(before.job.status));
        }
        // Before a worker can have it: what it says is heard from the start.
        let ending = self.0.events.of(&before).ending();
        self.0.events.reopen(&before);
        if let Err(error) = changed(self.0.store.retry(id, SystemTime::now()).await?) {
            self.0.events.end(id, ending);
            return Err(error);
        }
        self.tell(id, &self.0.events.of(&before), JobEvent::Queued { ahead: 0 });
        self.0.work.notify_one();
        self.moved_up().await?;
        Ok(())
    }

    /// Gives a waiting job another priority.
    ///
    /// # Errors
    /// When there is none of that name, or it does not wait.
    pub(crate) async fn prioritise(&self, id: &JobId, priority: Priority) -> Result<(), QueueError> {
        changed(self.0.store.prioritise(id, priority).await?)?;
        Ok(self.moved_up().await?)
    }

    /// Moves a waiting job within its owner's line.
    ///
    /// # Errors
    /// When there is none of that name, or it does not wait.
    pub(crate) async fn move_to(&self, id: &JobId, spot: Spot) -> Result<(), QueueError> {
        changed(self.0.store.move_to(id, spot).await?)?;
        Ok(self.moved_up().await?)
    }

    /// Forgets a job that has ended. Its pictures stay in the history.
    ///
    /// # Errors
    /// When there is none of that name, or it has not ended.
    pub(crate) async fn forget(&self, id: &JobId) -> Result<(), QueueError> {
        changed(self.0.store.forget(id).await?)?;
        self.0.events.remove(id);
        Ok(())
    }
}

/// A change that was not made, as an error.
fn changed(changed: Changed) -> Result<(), QueueError> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Unknown => Err(QueueError::Unknown),
        Changed::Full { limit } => Err(QueueError::Full { limit }),
        Changed::Not(JobStatus::Queued) => Err(QueueError::Waits),
        Changed::Not(JobStatus::Processing) => Err(QueueError::Runs),
        Changed::Not(over) => Err(QueueError::Over(over)),
    }
}

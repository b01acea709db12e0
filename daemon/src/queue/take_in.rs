//! Jobs come in, and their listeners hear of it.

use super::{
    Queue, QueueError, new_name,
    store::{NewJob, Place, StoreError, Submission, Submitted},
};
use fresco_api::{AnyRequest, JobEvent, JobId, JobKind, Params};
use std::{sync::Arc, time::SystemTime};

impl Queue {
    /// Puts jobs into the queue. Returns where they are, and whether they were there before by the same key.
    ///
    /// # Errors
    /// When the queue is full, or the key was used for something else.
    pub(crate) async fn submit(&self, submission: Submission) -> Result<(Place, bool), QueueError> {
        let queue = self.clone();
        // A client that goes away does not cut it off between the store and the workers.
        let taken = tokio::spawn(async move { queue.take_in(submission).await }).await;
        taken.unwrap_or_else(|_| Err(StoreError("taking jobs in broke down".to_owned()).into()))
    }

    async fn take_in(&self, submission: Submission) -> Result<(Place, bool), QueueError> {
        let owner: Arc<str> = submission.owner.as_str().into();
        let ids: Vec<JobId> = submission.jobs.iter().map(|job| job.id.clone()).collect();
        let done: Vec<bool> = submission.jobs.iter().map(|job| job.made.is_some()).collect();
        let place = match (&submission.batch, ids.first()) {
            (Some((id, _)), _) => Place::Batch(id.clone()),
            (None, Some(id)) => Place::Job(id.clone()),
            (None, None) => return Err(QueueError::Unknown),
        };
        // Before anybody can know them: who asks for a job's events finds its log.
        ids.iter().for_each(|id| self.0.events.create(id, &owner));
        let submitted = self.0.store.submit(submission, SystemTime::now()).await;
        if !matches!(submitted, Ok(Submitted::Accepted { .. })) {
            ids.iter().for_each(|id| self.0.events.remove(id));
        }
        match submitted? {
            Submitted::Full { limit } => return Err(QueueError::Full { limit }),
            Submitted::NoRoom { limit } => return Err(QueueError::NoRoom { limit }),
            Submitted::KeyReused => return Err(QueueError::KeyReused),
            Submitted::Repeated(place) => return Ok((place, true)),
            Submitted::Accepted { ahead } => {
                for ((ahead, id), done) in (ahead..).zip(&ids).zip(done) {
                    if let Some(log) = self.0.events.known(id) {
                        self.tell(id, &log, JobEvent::Queued { ahead: if done { 0 } else { ahead } });
                    }
                    if done {
                        self.ended_alone(id, None).await;
                    }
                }
            }
        }
        self.0.work.notify_one();
        tracing::info!(jobs = ids.len(), "queued");
        Ok((place, false))
    }
}

/// A job for the queue, alone and with nothing special about it.
pub(crate) fn plain_job(kind: JobKind, request: AnyRequest, params: Params) -> NewJob {
    let priority = request.image().priority.unwrap_or_default();
    let (inputs, input_bytes) = (Vec::new(), 0);
    let id = JobId(new_name());
    NewJob { id, kind, priority, request, params, inputs, input_bytes, label: None, after: None, made: None }
}

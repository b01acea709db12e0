//! Answers that can be given again: a repeat with a fixed seed costs nothing.

use super::{
    Queue, QueueError,
    store::{Answered, Finished, NewJob},
};
use crate::images::cache::CacheKey;
use fresco_api::{JobResult, Params};

impl Queue {
    /// What everything depends on that these parameters make; none where the model's files cannot be looked at.
    pub(super) async fn cache_key(&self, params: &Params) -> Option<CacheKey> {
        let (catalogue, params) = (self.0.catalogue.clone(), params.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let stamps = catalogue.stamps(&params.model, &params.prompt).ok()?;
            Some(CacheKey::new(&params, &stamps))
        });
        looking.await.ok().flatten()
    }

    /// The job with its result, if the same parameters were answered before and all of that is still there.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn answered(&self, job: NewJob) -> Result<NewJob, QueueError> {
        let Some(key) = self.cache_key(&job.params).await else { return Ok(job) };
        let Some((made_by, outputs)) = self.0.store.answer(&key).await? else { return Ok(job) };
        let (seed, parameters) = (job.params.seed, job.params.clone());
        let result = JobResult { images: Vec::new(), seed, parameters, time_taken: 0, cached: true };
        let answered = Some(Answered { key, made_by });
        Ok(NewJob { made: Some(Box::new(Finished { result, outputs, answered })), ..job })
    }
}

//! Jobs as clients see them: with their pictures, inline or as links.

use super::{Queue, lock, store::Stored};
use crate::picture;
use fresco_api::{Job, JobEvent, JobStatus, PictureForm, routes};

/// How a client wants pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// As data URLs.
    Inline,
    /// As paths, unless the job's request wants them inline.
    Links,
    /// As paths, whatever the job's request wants: its stream is everybody's.
    Feed,
}

impl Queue {
    /// A job with its pictures. One that was deleted since is left out.
    pub(crate) async fn shown(&self, stored: Stored, view: View) -> Job {
        let mut job = stored.job;
        // The store hears of progress now and then.
        if job.status == JobStatus::Processing
            && let Some(running) = lock(&self.0.running).get(&job.id)
        {
            job.progress = job.progress.max(running.percent);
        }
        let Some(result) = &mut job.result else { return job };
        let inline = match view {
            View::Inline => true,
            View::Links => job.request.image().response == Some(PictureForm::Inline),
            View::Feed => false,
        };
        for output in &stored.outputs {
            if !inline {
                result.images.push(format!("{}{}", routes::API, routes::image(&output.image)));
                continue;
            }
            match self.0.blobs.get(&output.hash).await {
                Ok(bytes) => result.images.push(picture::data_url(&bytes)),
                Err(error) => tracing::warn!(job = %job.id, "a picture cannot be read: {error}"),
            }
        }
        job
    }

    /// The event with which a job's story ends, once it has.
    pub(crate) async fn final_event(&self, stored: Stored, view: View) -> Option<JobEvent> {
        let job = self.shown(stored, view).await;
        match job.status {
            JobStatus::Completed => job.result.map(|result| JobEvent::Done { result: Box::new(result) }),
            JobStatus::Failed => job.error.map(|error| JobEvent::Failed { error }),
            JobStatus::Cancelled => Some(JobEvent::Cancelled),
            JobStatus::Queued | JobStatus::Processing => None,
        }
    }
}

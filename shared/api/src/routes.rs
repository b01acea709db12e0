//! The paths of the HTTP interface, used by the server and by every client.

use crate::{BatchId, ImageId, JobId, ModelId};

/// `POST`: a picture from a prompt; answers 202 and the job.
pub const TEXT2IMG: &str = "/generate/text2img";
/// `POST`: a picture from a picture; answers 202 and the job.
pub const IMG2IMG: &str = "/generate/img2img";
/// `POST`: a part of a picture made anew; answers 202 and the job.
pub const INPAINT: &str = "/generate/inpaint";
/// `POST`: a picture in another's style; answers 202 and the job.
pub const STYLE_TRANSFER: &str = "/generate/style-transfer";
/// `POST`: many pictures as one batch; answers 202 and the batch.
pub const BATCH: &str = "/generate/batch";
/// `GET`: one batch with its jobs. `DELETE`: forgets them, once they have ended.
pub const BATCH_ONE: &str = "/batches/{id}";
/// `POST`: stops every job of a batch.
pub const BATCH_CANCEL: &str = "/batches/{id}/cancel";
/// `GET`: the newest jobs.
pub const JOBS: &str = "/jobs";
/// `GET`: one job.
pub const JOB: &str = "/jobs/{id}";
/// `GET`: one job's events, as server-sent events.
pub const JOB_EVENTS: &str = "/jobs/{id}/events";
/// `POST`: stops a job.
pub const JOB_CANCEL: &str = "/jobs/{id}/cancel";
/// `POST`: puts a job that failed or was stopped into the queue again.
pub const JOB_RETRY: &str = "/jobs/{id}/retry";
/// `POST`: `{"priority": "low" | "normal" | "high"}`.
pub const JOB_PRIORITY: &str = "/jobs/{id}/priority";
/// `POST`: `{"to": "first" | "last"}` or `{"before": "another job's id"}`, among the owner's jobs.
pub const JOB_MOVE: &str = "/jobs/{id}/move";
/// `GET`: the events of all of the caller's jobs, as server-sent events.
pub const EVENTS: &str = "/events";
/// `POST`: no job is taken until the queue is resumed; those that run go on.
pub const QUEUE_PAUSE: &str = "/queue/pause";
/// `POST`: jobs are taken again.
pub const QUEUE_RESUME: &str = "/queue/resume";
/// Where everything is a second time, for clients of our own.
pub const API: &str = "/api/v1";
/// `GET`: the stored pictures.
pub const IMAGES: &str = "/images";
/// `GET`: one picture's file; `PATCH` changes what is known about it; `DELETE` removes it.
pub const IMAGE: &str = "/images/{id}";
/// `GET`: what is known about one picture.
pub const IMAGE_INFO: &str = "/images/{id}/info";
/// `GET`: an address by which one picture's file can be fetched.
pub const IMAGE_URL: &str = "/images/{id}/url";
/// `GET` with the list's questions, or `POST` with names: pictures and their parameters as a zip file.
pub const IMAGES_EXPORT: &str = "/images/export";
/// `POST`: a picture's file; answers how it was made.
pub const IMAGES_INSPECT: &str = "/images/inspect";
/// `GET`: the catalogue.
pub const MODELS: &str = "/models";
/// `DELETE`: takes a model that was fetched off this machine's shelf.
pub const MODEL: &str = "/models/{id}";
/// `GET`: the files of a model, for a page that fetches them into its own browser.
pub const MODEL_FILES: &str = "/models/{id}/files";
/// `POST`: fetches a published model from the hub; answers 202 and how far it is.
pub const MODEL_PULL: &str = "/models/{id}/pull";
/// `GET`: the fetches since the server started.
pub const PULLS: &str = "/pulls";
/// `GET`: how far one fetch is. `DELETE`: stops it.
pub const PULL: &str = "/pulls/{id}";
/// `GET`: one fetch, as server-sent events.
pub const PULL_EVENTS: &str = "/pulls/{id}/events";
/// `GET`: a file of a model, whole or in ranges.
pub const WEIGHTS: &str = "/weights/{id}/{*file}";
/// `GET`: the queue in numbers.
pub const QUEUE_STATUS: &str = "/queue/status";
/// `GET`: whether the daemon serves.
pub const HEALTH: &str = "/health";

/// `GET`: whether a job would be worked on now.
pub const READY: &str = "/ready";
/// `GET`: numbers as Prometheus reads them.
pub const METRICS: &str = "/metrics";

/// The path of one job.
pub fn job(id: &JobId) -> String {
    JOB.replace("{id}", &id.0)
}

/// The path of one job's events.
pub fn job_events(id: &JobId) -> String {
    JOB_EVENTS.replace("{id}", &id.0)
}

/// The path that stops one job.
pub fn job_cancel(id: &JobId) -> String {
    JOB_CANCEL.replace("{id}", &id.0)
}

/// The path of one picture's file.
pub fn image(id: &ImageId) -> String {
    IMAGE.replace("{id}", &id.0)
}

/// The path of one batch.
pub fn batch(id: &BatchId) -> String {
    BATCH_ONE.replace("{id}", &id.0)
}

/// The path of something that is done to a job, such as [`JOB_RETRY`].
pub fn of_job(route: &str, id: &JobId) -> String {
    route.replace("{id}", &id.0)
}

/// The path of one model.
pub fn model(id: &ModelId) -> String {
    MODEL.replace("{id}", &id.0)
}

/// The path of one model's files.
pub fn model_files(id: &ModelId) -> String {
    MODEL_FILES.replace("{id}", &id.0)
}

/// The path that fetches one model.
pub fn model_pull(id: &ModelId) -> String {
    MODEL_PULL.replace("{id}", &id.0)
}

/// The path of one fetch.
pub fn pull(id: &ModelId) -> String {
    PULL.replace("{id}", &id.0)
}

/// The path of one fetch's events.
pub fn pull_events(id: &ModelId) -> String {
    PULL_EVENTS.replace("{id}", &id.0)
}

//! The paths of the HTTP interface, used by the server and by every client.

use crate::{ImageId, JobId};

/// `POST`: a picture from a prompt; answers 202 and the job.
pub const TEXT2IMG: &str = "/generate/text2img";
/// `POST`: a picture from a picture; answers 202 and the job.
pub const IMG2IMG: &str = "/generate/img2img";
/// `POST`: a part of a picture made anew; answers 202 and the job.
pub const INPAINT: &str = "/generate/inpaint";
/// `POST`: a picture in another's style; answers 202 and the job.
pub const STYLE_TRANSFER: &str = "/generate/style-transfer";
/// `GET`: the newest jobs.
pub const JOBS: &str = "/jobs";
/// `GET`: one job.
pub const JOB: &str = "/jobs/{id}";
/// `GET`: one job's events, as server-sent events.
pub const JOB_EVENTS: &str = "/jobs/{id}/events";
/// `POST`: stops a job.
pub const JOB_CANCEL: &str = "/jobs/{id}/cancel";
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
/// `GET`: the queue in numbers.
pub const QUEUE_STATUS: &str = "/queue/status";
/// `GET`: whether the daemon serves.
pub const HEALTH: &str = "/health";

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

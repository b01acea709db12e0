//! A job is one request in the queue, with what became of it.

use crate::{AnyRequest, ApiError, BatchId, Params};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of a job; unique, and sorted by time of creation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub String);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// A picture from a prompt.
    Text2img,
    /// A picture from a picture.
    Img2img,
    /// A part of a picture anew.
    Inpaint,
    /// A picture in another's style.
    #[serde(rename = "style-transfer")]
    StyleTransfer,
}

/// Which of somebody's jobs go first. A job that waits long moves up, so that none waits for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After all others, also after other people's.
    Low,
    /// In its turn.
    #[default]
    Normal,
    /// Before the owner's other jobs; other people's turns stay as they are.
    High,
}

/// Where a job is in its life; the last three are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Waiting for an engine.
    Queued,
    /// An engine works on it.
    Processing,
    /// It has a result.
    Completed,
    /// It has an error.
    Failed,
    /// Its owner stopped it.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing more will happen to the job.
    pub fn is_final(self) -> bool {
        matches!(self, JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled)
    }
}

/// A job as `GET /jobs/{id}` shows it. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What it does.
    #[serde(rename = "type")]
    pub kind: JobKind,
    /// Where it is.
    pub status: JobStatus,
    /// What was asked, as it was asked, with the hashes of pictures in their place.
    pub request: AnyRequest,
    /// When it was accepted.
    pub created_at: String,
    /// When an engine took it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_at: Option<String>,
    /// When it became final.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completed_at: Option<String>,
    /// Per cent, 0 to 100.
    pub progress: u8,
    /// Which of its owner's jobs go first.
    #[serde(default)]
    pub priority: Priority,
    /// How often an engine has taken it.
    #[serde(default)]
    pub attempts: u32,
    /// Whether it was given up after too many attempts; it has failed then, and can be sent round again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dead: bool,
    /// The batch that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub batch: Option<BatchId>,
    /// Its name within the batch, such as `A` or `steps=20, seed=7`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// The pictures, once it is completed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<JobResult>,
    /// What went wrong, once it has failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ApiError>,
}

/// What a completed job made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobResult {
    /// PNG pictures: as data URLs, or as paths under `/api/v1`.
    pub images: Vec<String>,
    /// The seed of the first picture.
    pub seed: u64,
    /// The complete parameters; sending them again gives the same picture.
    pub parameters: Params,
    /// Milliseconds from the engine's start to the picture.
    pub time_taken: u64,
    /// Whether it was made earlier, for the same parameters.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
}

/// The queue in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// Jobs waiting.
    pub queued_jobs: u64,
    /// Jobs an engine works on.
    pub processing_jobs: u64,
    /// Jobs with a result.
    pub completed_jobs: u64,
    /// Jobs with an error.
    pub failed_jobs: u64,
    /// Whether no job is taken until somebody says so.
    #[serde(default)]
    pub paused: bool,
    /// Mean milliseconds of the completed jobs; 0 when there is none.
    pub average_processing_time: f64,
}

/// The answer of `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok` while the daemon serves.
    pub status: String,
    /// The daemon's version.
    pub version: String,
    /// The device that runs models, once it has been chosen.
    pub device: Option<String>,
}

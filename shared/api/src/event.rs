//! What happens to a job, as one stream that every engine emits and every listener reads.

use crate::{ApiError, JobId, JobResult};
use serde::{Deserialize, Serialize};

/// One thing that happened to a job. `Done`, `Failed` and `Cancelled` end the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum JobEvent {
    /// It waits; `ahead` jobs go first.
    Queued {
        /// Jobs that go first.
        ahead: u64,
    },
    /// The model's files are read; bytes so far and in all.
    Loading {
        /// Bytes read.
        loaded: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A denoising step ended; step 0 says that denoising starts.
    Step {
        /// Steps done.
        step: u32,
        /// Steps in all.
        of: u32,
    },
    /// A small picture of how it looks so far, as a data URL.
    Preview {
        /// The picture.
        image: String,
    },
    /// It is completed.
    Done {
        /// What it made.
        result: Box<JobResult>,
    },
    /// It has failed.
    Failed {
        /// Why.
        error: ApiError,
    },
    /// Its owner stopped it.
    Cancelled,
}

/// An event of one of many jobs: `{"job": "…", "type": "step", …}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedEvent {
    /// Whose event it is.
    pub job: JobId,
    /// What happened.
    #[serde(flatten)]
    pub event: JobEvent,
}

impl JobEvent {
    /// Whether no event follows this one.
    pub fn is_final(&self) -> bool {
        matches!(self, JobEvent::Done { .. } | JobEvent::Failed { .. } | JobEvent::Cancelled)
    }

    /// The event's name on the wire, which is also the SSE event type.
    pub fn name(&self) -> &'static str {
        match self {
            JobEvent::Queued { .. } => "queued",
            JobEvent::Loading { .. } => "loading",
            JobEvent::Step { .. } => "step",
            JobEvent::Preview { .. } => "preview",
            JobEvent::Done { .. } => "done",
            JobEvent::Failed { .. } => "failed",
            JobEvent::Cancelled => "cancelled",
        }
    }
}

//! Why the queue did not do what was asked.

use super::store::StoreError;
use crate::images::StorageError;
use fresco_api::{ApiError, ErrorCode, JobStatus};

/// Why the queue did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Too many wait.
    #[error("The queue is full: {limit} jobs wait. Try again later")]
    Full {
        /// Jobs that may wait.
        limit: usize,
    },
    /// Too many pictures wait.
    #[error("The queue holds pictures of {limit} bytes and has no room for more. Try again later")]
    NoRoom {
        /// Bytes that may be held.
        limit: usize,
    },
    /// An idempotency key came again with another request.
    #[error("This Idempotency-Key was used for another request")]
    KeyReused,
    /// There is no such job, or it is forgotten.
    #[error("There is no such job")]
    Unknown,
    /// Nothing of the sort can be done to a job that waits.
    #[error("The job waits; cancel it first")]
    Waits,
    /// Nothing of the sort can be done to a job that runs.
    #[error("The job runs; cancel it first")]
    Runs,
    /// It is final.
    #[error("The job is {} already", word(.0))]
    Over(JobStatus),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A picture could not be kept.
    #[error("The pictures cannot be stored: {0}")]
    Storage(#[from] StorageError),
}

fn word(status: &JobStatus) -> &'static str {
    match status {
        JobStatus::Queued => "queued",
        JobStatus::Processing => "running",
        JobStatus::Completed => "completed",
        JobStatus::Failed => "failed",
        JobStatus::Cancelled => "cancelled",
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        let code = match error {
            QueueError::Full { .. } | QueueError::NoRoom { .. } => ErrorCode::Busy,
            QueueError::Unknown => ErrorCode::NotFound,
            QueueError::KeyReused | QueueError::Waits | QueueError::Runs | QueueError::Over(_) => ErrorCode::Conflict,
            QueueError::Store(_) | QueueError::Storage(_) => {
                // What exactly broke is for the log: it may name folders.
                tracing::error!("{error}");
                return ApiError::new(ErrorCode::Internal, "The queue's storage failed");
            }
        };
        ApiError::new(code, error.to_string())
    }
}

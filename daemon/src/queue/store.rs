//! Where the truth about jobs lives. Every policy of the queue is behind this trait, whatever stores it.

use fresco_api::{AnyRequest, ApiError, Job, JobId, JobKind, JobResult, JobStatus, Params, QueueStatus};
use fresco_diffusion::Prepared;
use futures_util::future::BoxFuture;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// What a store answers, some time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The store itself failed.
#[derive(Debug, thiserror::Error)]
#[error("The job store failed: {0}")]
pub struct StoreError(pub String);

/// A job that wants to be in the queue.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// What was asked.
    pub request: AnyRequest,
    /// What an engine is to do.
    pub params: Params,
    /// The pictures that it does it with.
    pub pictures: Option<Arc<Prepared>>,
}

/// Whether a job is in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is, and so many others go first.
    Accepted {
        /// Jobs that wait or run.
        ahead: u64,
    },
    /// It is not: so many wait already.
    Full {
        /// Jobs that may wait.
        limit: usize,
    },
    /// It is not: the pictures of the jobs that wait and run leave no room for its own.
    NoRoom {
        /// Bytes of pictures that may be held.
        limit: usize,
    },
}

/// The right to work on a job, for a while. Each claim of a job has a new token, and what a holder of
/// an old one says changes nothing.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// What to do.
    pub params: Params,
    /// The pictures to do it with.
    pub pictures: Option<Arc<Prepared>>,
    /// The fencing token.
    pub token: u64,
    /// How often the job has been claimed, this time included.
    pub attempt: u32,
}

/// How a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Held,
    /// It holds, and the job's owner wants it stopped.
    CancelAsked,
    /// It ended; whatever the holder does is in vain.
    Stale,
}

/// How the work on a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With a result.
    Completed(Box<JobResult>),
    /// With an error.
    Failed(ApiError),
    /// Stopped, as was wished.
    Cancelled,
}

/// Whether an outcome counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The job is final now.
    Applied,
    /// The lease had ended.
    Stale,
}

/// What a wish to stop a job led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It waited, and is cancelled.
    Cancelled,
    /// It runs; whoever works on it has been told.
    Requested,
    /// It was final before.
    Already(JobStatus),
    /// There is no such job.
    Unknown,
}

/// What became of leases that ran out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs that wait again, first in the queue.
    pub requeued: Vec<JobId>,
    /// Jobs that were tried too often, or were to be stopped anyway: they are final now.
    pub ended: Vec<JobId>,
}

/// Which jobs to list.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Only these.
    pub status: Option<JobStatus>,
    /// At most so many.
    pub limit: usize,
}

/// How often a job may be claimed before it counts as failed.
pub const MAX_ATTEMPTS: u32 = 3;

/// The queue's truth. Each method is one transaction.
pub trait JobStore: JobReads {
    /// Puts a job at the end of the queue, unless that is full.
    fn submit(&self, job: NewJob, now: SystemTime) -> Answer<'_, Submitted>;

    /// Takes the job at the head of the queue, until `now + ttl`.
    fn claim(&self, now: SystemTime, ttl: Duration) -> Answer<'_, Option<Lease>>;

    /// Keeps a lease until `until`, and says how far the job is, in per cent; that never goes back.
    fn extend<'a>(&'a self, lease: &'a Lease, progress: u8, until: SystemTime) -> Answer<'a, Standing>;

    /// Ends a job, if the lease still holds.
    fn finish<'a>(&'a self, lease: &'a Lease, outcome: Outcome, now: SystemTime) -> Answer<'a, Finish>;

    /// Stops a job: at once when it waits, else as soon as its worker hears of it.
    fn cancel<'a>(&'a self, id: &'a JobId, now: SystemTime) -> Answer<'a, Cancel>;

    /// Takes back the leases that have run out.
    fn sweep(&self, now: SystemTime) -> Answer<'_, Swept>;
}

/// What can be asked of a store.
pub trait JobReads: Send + Sync + 'static {
    /// One job with its result.
    fn job<'a>(&'a self, id: &'a JobId) -> Answer<'a, Option<Job>>;

    /// The newest jobs first. Their results come without pictures, which would make the list too long.
    fn newest(&self, filter: Filter) -> Answer<'_, Vec<Job>>;

    /// The names of the jobs that wait, the next one first.
    fn waiting(&self) -> Answer<'_, Vec<JobId>>;

    /// The queue in numbers.
    fn status(&self) -> Answer<'_, QueueStatus>;
}

//! Where the truth about jobs lives. Every policy of the queue is behind this trait, whatever stores it.

use crate::images::{BlobHash, cache::CacheKey};
use fresco_api::{
    AnyRequest, ApiError, Batch, BatchId, BatchRequest, ImageId, Job, JobEvent, JobId, JobKind, JobResult, JobStatus,
    ModelId, Params, Priority, QueueStatus,
};
use futures_util::future::BoxFuture;
use std::time::{Duration, SystemTime};

/// What a store answers, some time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The store itself failed.
#[derive(Debug, thiserror::Error)]
#[error("The job store failed: {0}")]
pub struct StoreError(pub String);

/// How often a job may be claimed before it counts as dead.
pub const MAX_ATTEMPTS: u32 = 3;

/// A job that wants to be in the queue.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// Which of its owner's jobs go first.
    pub priority: Priority,
    /// What was asked.
    pub request: AnyRequest,
    /// What an engine is to do.
    pub params: Params,
    /// The pictures that it starts from, in the order of [`fresco_api::Mode::pictures`].
    pub inputs: Vec<BlobHash>,
    /// Bytes that these have together.
    pub input_bytes: u64,
    /// Its name within a batch.
    pub label: Option<String>,
    /// The job whose picture it starts from: it waits for that one to be completed.
    pub after: Option<JobId>,
    /// What it made, when that is known already: it is completed at once.
    pub made: Option<Box<Finished>>,
}

/// Jobs that come together: all of them are taken, or none.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose they are.
    pub owner: String,
    /// The key by which the same submit is known when it comes again.
    pub key: Option<Key>,
    /// The batch that they are, if they are one.
    pub batch: Option<(BatchId, BatchRequest)>,
    /// The jobs in their order.
    pub jobs: Vec<NewJob>,
}

/// The mark of a submit that may come twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// As its client named it.
    pub name: String,
    /// A digest of what was asked.
    pub body: String,
}

/// What a submit has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// This job.
    Job(JobId),
    /// This batch.
    Batch(BatchId),
}

/// Whether jobs are in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// They are, and about so many others go before the first.
    Accepted {
        /// Jobs that run, and those that come before in the owners' turns.
        ahead: u64,
    },
    /// They were before, by the same key.
    Repeated(Place),
    /// The key was used before for something else.
    KeyReused,
    /// They are not: so many wait already.
    Full {
        /// Jobs that may wait.
        limit: usize,
    },
    /// They are not: the pictures of the jobs that wait and run leave no room for theirs.
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
    /// Whose it is.
    pub owner: String,
    /// What was asked.
    pub request: AnyRequest,
    /// What to do.
    pub params: Params,
    /// The pictures to do it with.
    pub inputs: Vec<BlobHash>,
    /// The fencing token.
    pub token: i64,
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

/// A picture that a job made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name in the history.
    pub image: ImageId,
    /// The file, which is stored by now.
    pub hash: BlobHash,
    /// Bytes of the file.
    pub bytes: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// What a completed job leaves behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The result, without its pictures.
    pub result: JobResult,
    /// The pictures.
    pub outputs: Vec<Output>,
    /// What it answers, where it can be given again.
    pub answered: Option<Answered>,
}

/// What a result answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// What it depends on.
    pub key: CacheKey,
    /// The job that made the pictures.
    pub made_by: JobId,
}

/// How the work on a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With a result.
    Completed(Box<Finished>),
    /// With an error.
    Failed(ApiError),
    /// Stopped, as was wished.
    Cancelled,
}

/// Some of a job's events with their numbers, for listeners that come back after a restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// Events in their order.
    pub events: Vec<(u64, JobEvent)>,
    /// The final event's number, once there is one.
    pub last: Option<u64>,
}

/// Whether an outcome counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The job is final now.
    Applied(Consequences),
    /// The lease had ended.
    Stale,
}

/// What the end of a job meant for those that waited for its picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consequences {
    /// Jobs that can begin.
    pub released: Vec<JobId>,
    /// Jobs that ended with it.
    pub ended: Vec<JobId>,
}

/// What a wish to stop a job led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It waited, and is cancelled, with those that waited for its picture.
    Cancelled(Vec<JobId>),
    /// It runs; whoever works on it has been told.
    Requested,
    /// It was final before.
    Already(JobStatus),
    /// There is no such job.
    Unknown,
}

/// What became of leases that were taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs that wait again, at their old place.
    pub requeued: Vec<JobId>,
    /// Jobs that were tried too often, or were to be stopped anyway: they are final now.
    pub ended: Vec<JobId>,
}

/// Whether a change to a job was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was.
    Done,
    /// The job's state does not allow it.
    Not(JobStatus),
    /// There is no room in the queue.
    Full {
        /// Jobs that may wait.
        limit: usize,
    },
    /// There is no such job, or no such other job among the same owner's that wait.
    Unknown,
}

/// Where a job goes in its owner's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// Before all others of its priority.
    First,
    /// Behind them.
    Last,
    /// Before this one, whose priority it takes.
    Before(JobId),
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these.
    pub status: Option<JobStatus>,
    /// Only those that were given up.
    pub dead: bool,
    /// Only with this text in the prompt, letters of either case.
    pub prompt: Option<String>,
    /// Only those older than this one.
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: usize,
}

/// A job with what is not shown as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The job; its result has no pictures.
    pub job: Job,
    /// Whose it is.
    pub owner: String,
    /// The pictures that it made.
    pub outputs: Vec<Output>,
    /// Its events, as far as they are kept.
    pub kept: Kept,
}

/// The queue's truth. Each method is one transaction.
pub trait JobStore: JobReads + JobEdits {
    /// Puts jobs into the queue, unless that is full.
    fn submit(&self, submission: Submission, now: SystemTime) -> Answer<'_, Submitted>;

    /// Takes the job whose turn it is, until `now + ttl`; none while the queue is paused. `loaded` is the model that
    /// the engine has.
    fn claim(&self, now: SystemTime, ttl: Duration, loaded: Option<ModelId>) -> Answer<'_, Option<Lease>>;

    /// Keeps a lease until `until`, and says how far the job is, in per cent; that never goes back.
    fn extend(&self, lease: &Lease, progress: u8, until: SystemTime, kept: Kept) -> Answer<'_, Standing>;

    /// Ends a job, if the lease still holds.
    fn finish(&self, lease: &Lease, outcome: Outcome, now: SystemTime, kept: Kept) -> Answer<'_, Finish>;

    /// Gives a job back untried, if the lease still holds; the attempt does not count.
    fn release(&self, lease: &Lease, now: SystemTime, kept: Kept) -> Answer<'_, Finish>;

    /// Takes back the leases that have run out; with `all` every lease, because whoever held them is gone.
    fn sweep(&self, now: SystemTime, all: bool) -> Answer<'_, Swept>;
}

/// What an owner can do to jobs.
pub trait JobEdits: Send + Sync + 'static {
    /// Stops a job: at once when it waits, else as soon as its worker hears of it.
    fn cancel(&self, id: &JobId, now: SystemTime, kept: Kept) -> Answer<'_, Cancel>;

    /// Puts a job that failed or was stopped into the queue again, its attempts counted anew.
    fn retry(&self, id: &JobId, now: SystemTime) -> Answer<'_, Changed>;

    /// Gives a waiting job another priority, behind those that have it already.
    fn prioritise(&self, id: &JobId, priority: Priority) -> Answer<'_, Changed>;

    /// Moves a waiting job within its owner's line.
    fn move_to(&self, id: &JobId, spot: Spot) -> Answer<'_, Changed>;

    /// Forgets a job that is final.
    fn forget(&self, id: &JobId) -> Answer<'_, Changed>;

    /// Says whether jobs are given out.
    fn pause(&self, paused: bool) -> Answer<'_, ()>;
}

/// What can be asked of a store.
pub trait JobReads: Send + Sync + 'static {
    /// One job.
    fn job(&self, id: &JobId) -> Answer<'_, Option<Stored>>;

    /// The newest jobs first. Their results come without pictures, which would make the list too long.
    fn newest(&self, filter: Filter) -> Answer<'_, Vec<Job>>;

    /// The names of the first `limit` jobs that wait, in the order in which they would be claimed now.
    fn line(&self, limit: usize, now: SystemTime) -> Answer<'_, Vec<JobId>>;

    /// An owner's jobs that have ended since some time, the first one first, and those that have not ended; of each
    /// at most `limit`.
    fn since(&self, owner: &str, time: SystemTime, limit: usize) -> Answer<'_, Vec<Stored>>;

    /// The pictures that answered a key before, and the job that made them.
    fn answer(&self, key: &CacheKey) -> Answer<'_, Option<(JobId, Vec<Output>)>>;

    /// A batch with its jobs, and whose it is.
    fn batch(&self, id: &BatchId) -> Answer<'_, Option<(Batch, String)>>;

    /// The queue in numbers.
    fn status(&self) -> Answer<'_, QueueStatus>;
}

//! A job store that forgets everything when the program ends.

use super::store::{
    Answer, Cancel, Filter, Finish, JobReads, JobStore, Lease, MAX_ATTEMPTS, NewJob, Outcome, Standing, Submitted,
    Swept,
};
use crate::{clock::rfc3339, config::QueueLimits};
use fresco_api::{ApiError, ErrorCode, Job, JobId, JobStatus, Params, QueueStatus};
use fresco_diffusion::Prepared;
use futures_util::{FutureExt, future::ready};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// Jobs in memory, the history bounded by number and by bytes.
pub struct MemoryStore {
    limits: QueueLimits,
    // Never held across an await: every method ends before its future is returned.
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// By name, which is by time of creation.
    records: BTreeMap<JobId, Record>,
    waiting: VecDeque<JobId>,
    /// The oldest first, with the bytes that each result takes.
    finished: VecDeque<(JobId, usize)>,
    finished_bytes: usize,
    tokens: u64,
    /// Counted apart from the history, which forgets.
    completed: u64,
    failed: u64,
    milliseconds: u64,
}

struct Record {
    job: Job,
    params: Params,
    /// Until the job is final.
    pictures: Option<Arc<Prepared>>,
    held: Option<Held>,
    attempts: u32,
    cancel_asked: bool,
}

struct Held {
    token: u64,
    until: SystemTime,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, books: Mutex::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Nothing in here panics half way through a change.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    ready(Ok(value)).boxed()
}

impl JobStore for MemoryStore {
    fn submit(&self, job: NewJob, now: SystemTime) -> Answer<'_, Submitted> {
        let mut books = self.books();
        let limit = self.limits.waiting;
        if books.waiting.len() >= limit {
            return answer(Submitted::Full { limit });
        }
        let (more, limit) = (job.pictures.as_ref().map_or(0, |pictures| pictures.bytes()), self.limits.picture_bytes);
        if more > 0 && books.picture_bytes() + more > limit {
            return answer(Submitted::NoRoom { limit });
        }
        let ahead = books.waiting.len() + books.processing();
        books.waiting.push_back(job.id.clone());
        books.records.insert(job.id.clone(), Record::new(job, now));
        answer(Submitted::Accepted { ahead: ahead as u64 })
    }

    fn claim(&self, now: SystemTime, ttl: Duration) -> Answer<'_, Option<Lease>> {
        answer(self.books().claim(now, ttl))
    }

    fn extend<'a>(&'a self, lease: &'a Lease, progress: u8, until: SystemTime) -> Answer<'a, Standing> {
        let mut books = self.books();
        let Some(record) = books.held_by(lease) else { return answer(Standing::Stale) };
        record.job.progress = record.job.progress.max(progress.min(99));
        record.held = Some(Held { token: lease.token, until });
        answer(if record.cancel_asked { Standing::CancelAsked } else { Standing::Held })
    }

    fn finish<'a>(&'a self, lease: &'a Lease, outcome: Outcome, now: SystemTime) -> Answer<'a, Finish> {
        let mut books = self.books();
        if books.held_by(lease).is_none() {
            return answer(Finish::Stale);
        }
        books.end(&lease.job, outcome, now);
        books.forget(&self.limits);
        answer(Finish::Applied)
    }

    fn cancel<'a>(&'a self, id: &'a JobId, now: SystemTime) -> Answer<'a, Cancel> {
        let mut books = self.books();
        let Some(record) = books.records.get_mut(id) else { return answer(Cancel::Unknown) };
        let cancel = match record.job.status {
            JobStatus::Queued => {
                books.waiting.retain(|waiting| waiting != id);
                books.end(id, Outcome::Cancelled, now);
                books.forget(&self.limits);
                Cancel::Cancelled
            }
            JobStatus::Processing => {
                record.cancel_asked = true;
                Cancel::Requested
            }
            over => Cancel::Already(over),
        };
        answer(cancel)
    }

    fn sweep(&self, now: SystemTime) -> Answer<'_, Swept> {
        let mut books = self.books();
        let swept = books.sweep(now);
        books.forget(&self.limits);
        answer(swept)
    }
}

impl JobReads for MemoryStore {
    fn job<'a>(&'a self, id: &'a JobId) -> Answer<'a, Option<Job>> {
        answer(self.books().records.get(id).map(|record| record.job.clone()))
    }

    fn newest(&self, filter: Filter) -> Answer<'_, Vec<Job>> {
        let books = self.books();
        let newest = books.records.values().rev().map(|record| &record.job);
        let wanted = newest.filter(|job| filter.status.is_none_or(|status| status == job.status));
        answer(wanted.take(filter.limit).map(without_pictures).collect())
    }

    fn waiting(&self) -> Answer<'_, Vec<JobId>> {
        answer(self.books().waiting.iter().cloned().collect())
    }

    fn status(&self) -> Answer<'_, QueueStatus> {
        let books = self.books();
        let mean = if books.completed == 0 { 0.0 } else { books.milliseconds as f64 / books.completed as f64 };
        answer(QueueStatus {
            queued_jobs: books.waiting.len() as u64,
            processing_jobs: books.processing() as u64,
            completed_jobs: books.completed,
            failed_jobs: books.failed,
            average_processing_time: mean,
        })
    }
}

impl Record {
    fn new(new: NewJob, now: SystemTime) -> Self {
        let job = Job {
            id: new.id,
            kind: new.kind,
            status: JobStatus::Queued,
            request: new.request,
            created_at: rfc3339(now),
            started_at: None,
            completed_at: None,
            progress: 0,
            result: None,
            error: None,
        };
        Self { job, params: new.params, pictures: new.pictures, held: None, attempts: 0, cancel_asked: false }
    }
}

impl Books {
    fn processing(&self) -> usize {
        self.records.len() - self.waiting.len() - self.finished.len()
    }

    /// Bytes of the pictures of jobs that are not final.
    fn picture_bytes(&self) -> usize {
        self.records.values().filter_map(|record| record.pictures.as_ref()).map(|pictures| pictures.bytes()).sum()
    }

    fn held_by(&mut self, lease: &Lease) -> Option<&mut Record> {
        let record = self.records.get_mut(&lease.job)?;
        let holds = record.held.as_ref().is_some_and(|held| held.token == lease.token);
        holds.then_some(record)
    }

    fn claim(&mut self, now: SystemTime, ttl: Duration) -> Option<Lease> {
        let id = self.waiting.pop_front()?;
        let record = self.records.get_mut(&id)?;
        self.tokens += 1;
        record.attempts += 1;
        record.held = Some(Held { token: self.tokens, until: now + ttl });
        record.job.status = JobStatus::Processing;
        record.job.started_at = Some(rfc3339(now));
        let (params, pictures) = (record.params.clone(), record.pictures.clone());
        Some(Lease { job: id, params, pictures, token: self.tokens, attempt: record.attempts })
    }

    /// Makes a job final, whatever it was before.
    fn end(&mut self, id: &JobId, outcome: Outcome, now: SystemTime) {
        let Some(record) = self.records.get_mut(id) else { return };
        record.held = None;
        record.pictures = None;
        record.job.completed_at = Some(rfc3339(now));
        let mut bytes = 0;
        match outcome {
            Outcome::Completed(result) => {
                bytes = result.images.iter().map(String::len).sum();
                self.completed += 1;
                self.milliseconds += result.time_taken;
                record.job.progress = 100;
                record.job.status = JobStatus::Completed;
                record.job.result = Some(*result);
            }
            Outcome::Failed(error) => {
                self.failed += 1;
                record.job.status = JobStatus::Failed;
                record.job.error = Some(error);
            }
            Outcome::Cancelled => record.job.status = JobStatus::Cancelled,
        }
        self.finished.push_back((id.clone(), bytes));
        self.finished_bytes += bytes;
    }

    /// Drops the oldest finished jobs until the rest fits, but never the last one.
    fn forget(&mut self, limits: &QueueLimits) {
        while self.finished.len() > 1
            && (self.finished.len() > limits.history_jobs || self.finished_bytes > limits.history_bytes)
        {
            let Some((id, bytes)) = self.finished.pop_front() else { return };
            self.finished_bytes -= bytes;
            self.records.remove(&id);
        }
    }

    fn sweep(&mut self, now: SystemTime) -> Swept {
        let ran_out = |record: &Record| record.held.as_ref().is_some_and(|held| held.until <= now);
        let stale: Vec<JobId> =
            self.records.iter().filter(|(_, record)| ran_out(record)).map(|(id, _)| id.clone()).collect();
        let mut swept = Swept::default();
        // From the newest, so that the oldest ends up at the head of the queue.
        for id in stale.into_iter().rev() {
            match self.take_back(&id) {
                None => swept.requeued.push(id),
                Some(outcome) => {
                    self.end(&id, outcome, now);
                    swept.ended.push(id);
                }
            }
        }
        swept
    }

    /// Puts a job whose lease ran out back into the queue, or says how it ends.
    fn take_back(&mut self, id: &JobId) -> Option<Outcome> {
        let record = self.records.get_mut(id)?;
        if record.cancel_asked {
            return Some(Outcome::Cancelled);
        }
        if record.attempts >= MAX_ATTEMPTS {
            let message = format!("The job was started {} times and never finished", record.attempts);
            return Some(Outcome::Failed(ApiError::new(ErrorCode::Internal, message)));
        }
        record.held = None;
        record.job.status = JobStatus::Queued;
        self.waiting.push_front(id.clone());
        None
    }
}

fn without_pictures(job: &Job) -> Job {
    let mut job = job.clone();
    if let Some(result) = &mut job.result {
        result.images.clear();
    }
    job
}

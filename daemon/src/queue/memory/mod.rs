//! A job store that forgets everything when the program ends: the model that tests hold the real one against.
//!
//! Plain lists and plain loops, so that it is right by being simple.

mod books;
mod turns;

use super::{
    policy,
    store::{
        Answer, Cancel, Changed, Filter, Finish, Finished, JobEdits, JobReads, JobStore, Kept, Lease, Outcome, Output,
        Place, Spot, Standing, Stored, Submission, Submitted, Swept,
    },
};
use crate::{clock::rfc3339, config::QueueLimits, images::cache::CacheKey};
use books::{Books, State};
use fresco_api::{Batch, BatchId, Job, JobId, ModelId, Priority, QueueStatus};
use futures_util::{FutureExt, future::ready};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// Jobs in memory.
pub struct MemoryStore {
    limits: QueueLimits,
    // Never held across an await: every method ends before its future is returned.
    books: Mutex<Books>,
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

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl JobStore for MemoryStore {
    fn submit(&self, submission: Submission, now: SystemTime) -> Answer<'_, Submitted> {
        let mut books = self.books();
        if let Some(key) = &submission.key
            && let Some((body, place)) = books.keys.get(&(submission.owner.clone(), key.name.clone()))
        {
            let same = *body == key.body;
            return answer(if same { Submitted::Repeated(place.clone()) } else { Submitted::KeyReused });
        }
        let new = submission.jobs.iter().filter(|job| job.made.is_none()).count();
        let limit = self.limits.waiting;
        if new > 0 && books.waiting() + new > limit {
            return answer(Submitted::Full { limit });
        }
        let (more, limit) = (submission.jobs.iter().map(|job| job.input_bytes).sum::<u64>(), self.limits.picture_bytes);
        if more > 0 && books.picture_bytes() + more > limit as u64 {
            return answer(Submitted::NoRoom { limit });
        }
        let ahead = books.ahead(&submission.owner);
        let batch = submission.batch.map(|(id, request)| {
            books.batches.insert(id.clone(), (submission.owner.clone(), request, rfc3339(now)));
            id
        });
        let first = submission.jobs.first().map(|job| Place::Job(job.id.clone()));
        for job in submission.jobs {
            books.insert(&submission.owner, batch.as_ref(), job, now);
        }
        books.prune(self.limits.history_jobs);
        if let (Some(key), Some(place)) = (submission.key, batch.map(Place::Batch).or(first)) {
            books.keys.insert((submission.owner, key.name), (key.body, place));
        }
        answer(Submitted::Accepted { ahead })
    }

    fn claim(&self, now: SystemTime, ttl: Duration, loaded: Option<ModelId>) -> Answer<'_, Option<Lease>> {
        answer(self.books().claim(now, ttl, loaded.as_ref()))
    }

    fn extend(&self, lease: &Lease, progress: u8, until: SystemTime, kept: Kept) -> Answer<'_, Standing> {
        let mut books = self.books();
        let Some(record) = books.held_by(lease) else { return answer(Standing::Stale) };
        record.stored.job.progress = record.stored.job.progress.max(progress.min(99));
        record.stored.kept.events = kept.events;
        record.until = Some(milliseconds(until));
        answer(if record.cancel_asked { Standing::CancelAsked } else { Standing::Held })
    }

    fn finish(&self, lease: &Lease, outcome: Outcome, now: SystemTime, kept: Kept) -> Answer<'_, Finish> {
        let mut books = self.books();
        let Some(record) = books.held_by(lease) else { return answer(Finish::Stale) };
        record.stored.kept = kept;
        let consequences = books.end(&lease.job, outcome, now);
        books.prune(self.limits.history_jobs);
        answer(Finish::Applied(consequences))
    }

    fn release(&self, lease: &Lease, now: SystemTime, kept: Kept) -> Answer<'_, Finish> {
        let mut books = self.books();
        let Some(record) = books.held_by(lease) else { return answer(Finish::Stale) };
        if record.cancel_asked {
            record.stored.kept = kept;
            let consequences = books.end(&lease.job, Outcome::Cancelled, now);
            books.prune(self.limits.history_jobs);
            return answer(Finish::Applied(consequences));
        }
        record.stored.kept.events = kept.events;
        record.stored.job.attempts -= 1;
        record.stored.job.started_at = None;
        record.take_back();
        answer(Finish::Applied(Default::default()))
    }

    fn sweep(&self, now: SystemTime, all: bool) -> Answer<'_, Swept> {
        let mut books = self.books();
        let swept = books.sweep(now, all);
        books.prune(self.limits.history_jobs);
        answer(swept)
    }
}

impl JobEdits for MemoryStore {
    fn cancel(&self, id: &JobId, now: SystemTime, kept: Kept) -> Answer<'_, Cancel> {
        let mut books = self.books();
        let Some(record) = books.records.get_mut(id) else { return answer(Cancel::Unknown) };
        let cancel = match record.state {
            State::Queued | State::Held => {
                record.stored.kept = kept;
                let ended = books.end(id, Outcome::Cancelled, now).ended;
                books.prune(self.limits.history_jobs);
                Cancel::Cancelled(std::iter::once(id.clone()).chain(ended).collect())
            }
            State::Processing => {
                record.cancel_asked = true;
                Cancel::Requested
            }
            State::Over => Cancel::Already(record.stored.job.status),
        };
        answer(cancel)
    }

    fn retry(&self, id: &JobId, now: SystemTime) -> Answer<'_, Changed> {
        answer(self.books().retry(id, now, self.limits.waiting))
    }

    fn prioritise(&self, id: &JobId, priority: Priority) -> Answer<'_, Changed> {
        let mut books = self.books();
        let Some(record) = books.records.get_mut(id) else { return answer(Changed::Unknown) };
        if !matches!(record.state, State::Queued | State::Held) {
            return answer(Changed::Not(record.stored.job.status));
        }
        record.stored.job.priority = priority;
        let place = books.last_place();
        if let Some(record) = books.records.get_mut(id) {
            record.place = place;
        }
        answer(Changed::Done)
    }

    fn move_to(&self, id: &JobId, spot: Spot) -> Answer<'_, Changed> {
        answer(self.books().move_to(id, spot))
    }

    fn forget(&self, id: &JobId) -> Answer<'_, Changed> {
        let mut books = self.books();
        let Some(record) = books.records.get(id) else { return answer(Changed::Unknown) };
        if record.state != State::Over {
            return answer(Changed::Not(record.stored.job.status));
        }
        books.remove(id);
        answer(Changed::Done)
    }

    fn pause(&self, paused: bool) -> Answer<'_, ()> {
        self.books().paused = paused;
        answer(())
    }
}

impl JobReads for MemoryStore {
    fn job(&self, id: &JobId) -> Answer<'_, Option<Stored>> {
        answer(self.books().records.get(id).map(|record| record.stored.clone()))
    }

    fn newest(&self, filter: Filter) -> Answer<'_, Vec<Job>> {
        let books = self.books();
        let text = filter.prompt.map(|text| text.to_ascii_lowercase());
        let wanted = |job: &&Job| {
            filter.status.is_none_or(|status| status == job.status)
                && (!filter.dead || job.dead)
                && filter.before.as_ref().is_none_or(|before| job.id < *before)
                && text.as_ref().is_none_or(|text| job.request.image().prompt.to_ascii_lowercase().contains(text))
        };
        let newest = books.records.values().rev().map(|record| &record.stored.job);
        answer(newest.filter(wanted).take(filter.limit).cloned().collect())
    }

    fn line(&self, limit: usize, now: SystemTime) -> Answer<'_, Vec<JobId>> {
        answer(self.books().line(limit, milliseconds(now)))
    }

    fn since(&self, owner: &str, time: SystemTime, limit: usize) -> Answer<'_, Vec<Stored>> {
        let books = self.books();
        let own: Vec<&Stored> =
            books.records.values().map(|record| &record.stored).filter(|stored| stored.owner == owner).collect();
        let from = Some(rfc3339(time));
        let ended = own.iter().filter(|stored| stored.job.completed_at >= from);
        let mut found: Vec<Stored> = ended.map(|stored| (*stored).clone()).collect();
        found.sort_by(|a, b| (&a.job.completed_at, &a.job.id).cmp(&(&b.job.completed_at, &b.job.id)));
        found.truncate(limit);
        let alive = own.iter().filter(|stored| !stored.job.status.is_final()).take(limit);
        found.extend(alive.map(|stored| (*stored).clone()));
        answer(found)
    }

    fn answer(&self, _: &CacheKey) -> Answer<'_, Option<(JobId, Vec<Output>)>> {
        answer(None)
    }

    fn batch(&self, id: &BatchId) -> Answer<'_, Option<(Batch, String)>> {
        let books = self.books();
        let Some((owner, request, created_at)) = books.batches.get(id).cloned() else { return answer(None) };
        let of = books.records.values().filter(|record| record.stored.job.batch.as_ref() == Some(id));
        let mut of: Vec<_> = of.collect();
        of.sort_by_key(|record| record.number);
        let jobs: Vec<Job> = of.into_iter().map(|record| record.stored.job.clone()).collect();
        let (status, progress) = Batch::summary(&jobs);
        answer(Some((Batch { id: id.clone(), status, request, created_at, progress, jobs }, owner)))
    }

    fn status(&self) -> Answer<'_, QueueStatus> {
        let books = self.books();
        answer(QueueStatus {
            queued_jobs: books.waiting() as u64,
            processing_jobs: books.processing() as u64,
            paused: books.paused,
            ..books.totals.status()
        })
    }
}

/// Sums that outlive the jobs.
#[derive(Default)]
struct Totals {
    completed: u64,
    failed: u64,
    timed: u64,
    milliseconds: u64,
}

impl Totals {
    fn completed(&mut self, made: &Finished) {
        self.completed += 1;
        self.timed += u64::from(!made.result.cached);
        self.milliseconds += if made.result.cached { 0 } else { made.result.time_taken };
    }

    fn status(&self) -> QueueStatus {
        let mean = if self.timed == 0 { 0.0 } else { self.milliseconds as f64 / self.timed as f64 };
        QueueStatus {
            completed_jobs: self.completed,
            failed_jobs: self.failed,
            average_processing_time: mean,
            ..QueueStatus::default()
        }
    }
}

//! The lists behind the store in memory.

use super::{Totals, milliseconds};
use crate::{
    clock::rfc3339,
    images::BlobHash,
    queue::{
        sql::gave_up,
        store::{
            Changed, Consequences, Finished, Kept, Lease, MAX_ATTEMPTS, NewJob, Outcome, Place, Spot, Stored, Swept,
        },
    },
};
use fresco_api::{AnyRequest, BatchId, BatchRequest, Edit, Job, JobId, JobStatus, Params, Priority};
use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

/// Places lie so far apart that between two there is always another.
const SPACING: f64 = 1.0;

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Queued,
    Held,
    Processing,
    Over,
}

pub(super) struct Record {
    pub stored: Stored,
    pub state: State,
    pub params: Params,
    pub inputs: Vec<BlobHash>,
    pub input_bytes: u64,
    pub after: Option<JobId>,
    pub number: u64,
    pub place: f64,
    pub since: i64,
    pub overtaken: i64,
    pub token: Option<i64>,
    pub until: Option<i64>,
    pub ended: Option<(i64, u64)>,
    pub cancel_asked: bool,
}

#[derive(Default)]
pub(super) struct Books {
    /// By name, which is by time of creation.
    pub records: BTreeMap<JobId, Record>,
    pub batches: BTreeMap<BatchId, (String, BatchRequest, String)>,
    pub keys: HashMap<(String, String), (String, Place)>,
    pub totals: Totals,
    pub paused: bool,
    pub turns: HashMap<String, (i64, i64)>,
    pub clock: i64,
    pub tokens: i64,
    places: f64,
    counter: u64,
}

impl Record {
    /// Puts it back to where it was in the queue.
    pub fn take_back(&mut self) {
        self.state = State::Queued;
        self.stored.job.status = JobStatus::Queued;
        self.stored.job.progress = 0;
        (self.token, self.until) = (None, None);
    }
}

impl Books {
    fn count(&self, state: State) -> usize {
        self.records.values().filter(|record| record.state == state).count()
    }

    pub fn waiting(&self) -> usize {
        self.count(State::Queued) + self.count(State::Held)
    }

    pub fn processing(&self) -> usize {
        self.count(State::Processing)
    }

    pub fn picture_bytes(&self) -> u64 {
        let alive = self.records.values().filter(|record| record.state != State::Over);
        alive.map(|record| record.input_bytes).sum()
    }

    pub fn last_place(&mut self) -> f64 {
        self.places += SPACING;
        self.places
    }

    /// Jobs that go before an owner's next one, in turns.
    pub fn ahead(&self, owner: &str) -> u64 {
        let mut waiting: HashMap<&str, u64> = HashMap::new();
        for record in self.records.values().filter(|record| record.state == State::Queued) {
            *waiting.entry(&record.stored.owner).or_default() += 1;
        }
        let own = waiting.remove(owner).unwrap_or(0);
        let others: u64 = waiting.values().map(|count| (*count).min(own + 1)).sum();
        self.processing() as u64 + own + others
    }

    pub fn insert(&mut self, owner: &str, batch: Option<&BatchId>, new: NewJob, now: SystemTime) {
        self.counter += 1;
        let place = self.last_place();
        let job = Job {
            id: new.id.clone(),
            kind: new.kind,
            status: JobStatus::Queued,
            request: new.request,
            created_at: rfc3339(now),
            started_at: None,
            completed_at: None,
            progress: 0,
            priority: new.priority,
            attempts: 0,
            dead: false,
            batch: batch.cloned(),
            label: new.label,
            result: None,
            error: None,
        };
        let record = Record {
            stored: Stored { job, owner: owner.to_owned(), outputs: Vec::new(), kept: Kept::default() },
            state: if new.after.is_some() { State::Held } else { State::Queued },
            params: new.params,
            inputs: new.inputs,
            input_bytes: new.input_bytes,
            after: new.after,
            number: self.counter,
            place,
            since: milliseconds(now),
            overtaken: 0,
            token: None,
            until: None,
            ended: None,
            cancel_asked: false,
        };
        self.records.insert(new.id.clone(), record);
        if let Some(made) = new.made {
            if let Some(record) = self.records.get_mut(&new.id) {
                record.stored.job.started_at = Some(rfc3339(now));
                record.stored.kept.last = Some(2);
            }
            self.end(&new.id, Outcome::Completed(made), now);
        }
    }

    pub fn held_by(&mut self, lease: &Lease) -> Option<&mut Record> {
        self.records.get_mut(&lease.job).filter(|record| record.token == Some(lease.token))
    }

    /// The waiting jobs of one line in their order.
    pub fn line_of(&self, owner: &str, priority: Priority) -> Vec<&Record> {
        let of = |record: &&Record| {
            let same = record.stored.owner == owner && record.stored.job.priority == priority;
            same && record.state == State::Queued
        };
        let mut line: Vec<&Record> = self.records.values().filter(of).collect();
        line.sort_by(|a, b| a.place.total_cmp(&b.place));
        line
    }

    /// Makes a job final, whatever it was before, and lets go or ends those that waited for its picture.
    pub fn end(&mut self, id: &JobId, outcome: Outcome, now: SystemTime) -> Consequences {
        let mut consequences = Consequences::default();
        self.counter += 1;
        let counter = self.counter;
        let Some(record) = self.records.get_mut(id) else { return consequences };
        record.state = State::Over;
        (record.token, record.until) = (None, None);
        record.ended = Some((milliseconds(now), counter));
        let job = &mut record.stored.job;
        job.completed_at = Some(rfc3339(now));
        let mut picture = None;
        match outcome {
            Outcome::Completed(made) => {
                let Finished { result, outputs, .. } = &*made;
                picture = outputs.first().map(|output| output.hash);
                self.totals.completed(&made);
                job.progress = 100;
                job.status = JobStatus::Completed;
                job.result = Some(result.clone());
                record.stored.outputs.clone_from(outputs);
            }
            Outcome::Failed(error) => {
                self.totals.failed += 1;
                job.status = JobStatus::Failed;
                job.error = Some(error);
            }
            Outcome::Cancelled => job.status = JobStatus::Cancelled,
        }
        let waits = |record: &&Record| record.state == State::Held && record.after.as_ref() == Some(id);
        let next: Vec<JobId> = self.records.values().filter(waits).map(|r| r.stored.job.id.clone()).collect();
        for next in next {
            match picture {
                Some(picture) => {
                    self.feed(&next, picture, now);
                    consequences.released.push(next);
                }
                None => {
                    let more = self.end(&next, Outcome::Cancelled, now);
                    consequences.ended.push(next);
                    consequences.ended.extend(more.ended);
                }
            }
        }
        consequences
    }

    fn feed(&mut self, id: &JobId, picture: BlobHash, now: SystemTime) {
        let Some(record) = self.records.get_mut(id) else { return };
        let named = format!("sha256:{picture}");
        if let AnyRequest::Img2img(request) = &mut record.stored.job.request {
            request.mode.init_image.clone_from(&named);
        }
        if let Some(Edit::Img2img { init_image, .. }) = &mut record.params.edit {
            *init_image = named;
        }
        record.inputs = vec![picture];
        record.state = State::Queued;
        record.since = milliseconds(now);
    }

    pub fn sweep(&mut self, now: SystemTime, all: bool) -> Swept {
        let time = milliseconds(now);
        let ran_out = |record: &&Record| record.until.is_some_and(|until| all || until <= time);
        let mut stale: Vec<&Record> = self.records.values().filter(ran_out).collect();
        stale.sort_by(|a, b| a.place.total_cmp(&b.place));
        let stale: Vec<JobId> = stale.into_iter().map(|record| record.stored.job.id.clone()).collect();
        let mut swept = Swept::default();
        for id in stale {
            let Some(record) = self.records.get_mut(&id) else { continue };
            let attempts = record.stored.job.attempts;
            let outcome = if record.cancel_asked {
                Outcome::Cancelled
            } else if attempts >= MAX_ATTEMPTS {
                record.stored.job.dead = true;
                Outcome::Failed(gave_up(attempts))
            } else {
                record.take_back();
                swept.requeued.push(id);
                continue;
            };
            let more = self.end(&id, outcome, now);
            swept.ended.push(id);
            swept.ended.extend(more.ended);
        }
        swept
    }

    pub fn retry(&mut self, id: &JobId, now: SystemTime, limit: usize) -> Changed {
        let Some(record) = self.records.get(id) else { return Changed::Unknown };
        let (status, after) = (record.stored.job.status, record.after.clone());
        if !matches!(status, JobStatus::Failed | JobStatus::Cancelled) {
            return Changed::Not(status);
        }
        if self.waiting() >= limit {
            return Changed::Full { limit };
        }
        let unfed = record.inputs.is_empty();
        let parent = after.filter(|_| unfed).and_then(|after| self.records.get(&after));
        let (state, picture) =
            match parent.map(|parent| (parent.state, parent.stored.outputs.first().map(|output| output.hash))) {
                None => (State::Queued, None),
                Some((State::Over, None)) => return Changed::Not(status),
                Some((State::Over, picture)) => (State::Held, picture),
                Some(_) => (State::Held, None),
            };
        let place = self.last_place();
        let Some(record) = self.records.get_mut(id) else { return Changed::Unknown };
        (record.place, record.since, record.overtaken, record.cancel_asked) = (place, milliseconds(now), 0, false);
        record.ended = None;
        let job = &mut record.stored.job;
        (job.started_at, job.completed_at, job.error) = (None, None, None);
        (job.attempts, job.dead) = (0, false);
        record.take_back();
        record.state = state;
        if let Some(picture) = picture {
            self.feed(id, picture, now);
        }
        Changed::Done
    }

    pub fn move_to(&mut self, id: &JobId, spot: Spot) -> Changed {
        let Some(record) = self.records.get(id) else { return Changed::Unknown };
        if record.state != State::Queued {
            return Changed::Not(record.stored.job.status);
        }
        let (owner, priority) = (record.stored.owner.clone(), record.stored.job.priority);
        let (priority, place) = match spot {
            Spot::Last => (priority, self.last_place()),
            Spot::First => {
                let first = self.line_of(&owner, priority).first().map_or(0.0, |record| record.place);
                (priority, first - SPACING)
            }
            Spot::Before(other) if other == *id => return Changed::Done,
            Spot::Before(other) => {
                let same = self.records.get(&other);
                let same = same.filter(|other| other.state == State::Queued && other.stored.owner == owner);
                let Some(other) = same else { return Changed::Unknown };
                let (priority, place) = (other.stored.job.priority, other.place);
                let before = self.line_of(&owner, priority).into_iter().rev().find(|record| record.place < place);
                (priority, before.map_or(place - SPACING, |before| f64::midpoint(before.place, place)))
            }
        };
        if let Some(record) = self.records.get_mut(id) {
            record.stored.job.priority = priority;
            record.place = place;
        }
        Changed::Done
    }

    pub fn remove(&mut self, id: &JobId) {
        self.records.remove(id);
        self.keys.retain(|_, (_, place)| *place != Place::Job(id.clone()));
        let records = &self.records;
        self.batches.retain(|batch, _| records.values().any(|record| record.stored.job.batch.as_ref() == Some(batch)));
        self.keys.retain(|_, (_, place)| match place {
            Place::Batch(batch) => self.batches.contains_key(batch),
            Place::Job(_) => true,
        });
        for record in self.records.values_mut().filter(|record| record.after.as_ref() == Some(id)) {
            record.after = None;
        }
    }

    /// Forgets the oldest jobs that have ended, beyond `most`, but never the last one.
    pub fn prune(&mut self, most: usize) {
        let ended = |record: &Record| record.ended.map(|(time, _)| (time, record.stored.job.id.clone()));
        let mut over: Vec<(i64, JobId)> = self.records.values().filter_map(ended).collect();
        over.sort();
        let surplus = over.len().saturating_sub(most.max(1));
        for (_, id) in over.into_iter().take(surplus) {
            self.remove(&id);
        }
    }
}

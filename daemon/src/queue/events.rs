//! What happened to each job, kept so that a listener can come late or come back.
//!
//! The final event is not kept here: the store has the job's end, and it is the truth. Some events before it are
//! kept there too, so that a restart costs a listener no more than the last few.

use super::store::{Kept, Stored};
use fresco_api::{JobEvent, JobId};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Most events of a job that are remembered here.
const REMEMBERED: usize = 300;
/// Most events of a job that the store is given.
const STORED: usize = 64;
/// After a restart a job's events go on so much later than what the store had: those that were told but not stored
/// keep their numbers to themselves.
const JUMP: u64 = 1_000;
/// The number of an end that nobody was told before the restart.
const UNTOLD: u64 = 1 << 32;
/// Numbers left free before the end of a job that is stopped while it waits: it may be told its place once more.
const SLACK: u64 = 8;

/// The logs of the jobs that live, and of the last that ended.
pub(super) struct EventLogs {
    ended_kept: usize,
    logs: Mutex<Logs>,
}

#[derive(Default)]
struct Logs {
    by_job: HashMap<JobId, Arc<EventLog>>,
    ended: VecDeque<JobId>,
}

impl EventLogs {
    pub fn new(ended_kept: usize) -> Self {
        Self { ended_kept, logs: Mutex::default() }
    }

    /// Begins the log of a job that is not in the store yet.
    pub fn create(&self, id: &JobId, owner: &Arc<str>) {
        self.logs().by_job.insert(id.clone(), Arc::new(EventLog::new(owner.clone())));
    }

    /// The log of a job, if this run of the program has one.
    pub fn known(&self, id: &JobId) -> Option<Arc<EventLog>> {
        self.logs().by_job.get(id).cloned()
    }

    /// A job's log. One that ended long ago, or before a restart, has as much of it as the store kept.
    pub fn of(&self, stored: &Stored) -> Arc<EventLog> {
        let id = &stored.job.id;
        let mut logs = self.logs();
        if let Some(log) = logs.by_job.get(id) {
            return log.clone();
        }
        let is_final = stored.job.status.is_final();
        let log = Arc::new(EventLog::restored(stored.owner.as_str().into(), &stored.kept, is_final));
        if !is_final {
            logs.by_job.insert(id.clone(), log.clone());
        }
        log
    }

    /// No event but the final one follows, which has this number or the next one. A job that has no log here has
    /// nobody to tell.
    pub fn end(&self, id: &JobId, number: Option<u64>) {
        let mut logs = self.logs();
        let Some(log) = logs.by_job.get(id) else { return };
        log.end(number);
        logs.ended.push_back(id.clone());
        while logs.ended.len() > self.ended_kept.max(1) {
            let oldest = logs.ended.pop_front();
            let over = oldest.filter(|oldest| logs.by_job.get(oldest).is_some_and(|log| log.is_over()));
            over.and_then(|oldest| logs.by_job.remove(&oldest));
        }
    }

    /// The job goes on after its end.
    pub fn reopen(&self, stored: &Stored) {
        let log = self.of(stored);
        log.reopen();
        self.logs().by_job.insert(stored.job.id.clone(), log);
    }

    pub fn remove(&self, id: &JobId) {
        self.logs().by_job.remove(id);
    }

    fn logs(&self) -> MutexGuard<'_, Logs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One job's events, without the final one. Their numbers count from 1 and may leave gaps.
pub(super) struct EventLog {
    /// Whose the job is.
    pub owner: Arc<str>,
    story: Mutex<Story>,
    changed: watch::Sender<()>,
}

struct Story {
    events: BTreeMap<u64, JobEvent>,
    next: u64,
    /// Whether an engine has it: it is told no place in the queue then.
    begun: bool,
    /// The final event's number.
    end: Option<u64>,
}

/// What comes at a place in a log.
pub(super) enum Next {
    /// This event, with its number.
    Event(u64, Box<JobEvent>),
    /// The final event, which the store knows; its number.
    End(u64),
    /// Nothing yet.
    NotYet,
}

impl EventLog {
    /// A log of somebody's job, without any event.
    pub fn new(owner: Arc<str>) -> Self {
        let story = Story { events: BTreeMap::new(), next: 1, begun: false, end: None };
        Self { owner, story: Mutex::new(story), changed: watch::Sender::new(()) }
    }

    fn restored(owner: Arc<str>, kept: &Kept, is_final: bool) -> Self {
        let log = Self::new(owner);
        {
            let mut story = log.story();
            story.events = kept.events.iter().cloned().collect();
            let last = story.events.last_key_value().map_or(0, |(number, _)| *number);
            story.next = last + JUMP;
            story.end = is_final.then(|| kept.last.unwrap_or(UNTOLD));
        }
        log
    }

    /// Adds an event, unless it says nothing new.
    pub fn push(&self, event: JobEvent) -> bool {
        let mut story = self.story();
        let late = story.begun && matches!(event, JobEvent::Queued { .. });
        let same = story.events.last_key_value().is_some_and(|(_, last)| *last == event);
        if story.end.is_some() || late || same {
            return false;
        }
        story.push(event);
        self.changed.send_replace(());
        true
    }

    /// An engine has the job. A log without any event begins with the job's turn.
    pub fn begin(&self) {
        let mut story = self.story();
        if story.events.is_empty() && story.end.is_none() {
            story.push(JobEvent::Queued { ahead: 0 });
            self.changed.send_replace(());
        }
        story.begun = true;
    }

    /// No engine has it any more.
    pub fn wait(&self) {
        self.story().begun = false;
    }

    fn end(&self, number: Option<u64>) {
        let mut story = self.story();
        story.end = Some(number.unwrap_or(0).max(story.next));
        self.changed.send_replace(());
    }

    fn reopen(&self) {
        let mut story = self.story();
        story.next = story.end.map_or(story.next, |end| end + 1);
        story.events.clear();
        (story.begun, story.end) = (false, None);
    }

    /// Whether the final event has come.
    fn is_over(&self) -> bool {
        self.ending().is_some()
    }

    /// The final event's number, once it has come.
    pub fn ending(&self) -> Option<u64> {
        self.story().end
    }

    /// What the store is to keep while the job runs.
    pub fn kept(&self) -> Kept {
        let story = self.story();
        let lasting = story.events.iter().rev().filter(|(_, event)| !matches!(event, JobEvent::Preview { .. }));
        let mut events: Vec<(u64, JobEvent)> =
            lasting.take(STORED).map(|(number, event)| (*number, event.clone())).collect();
        events.reverse();
        Kept { events, last: None }
    }

    /// What the store is to keep of a job that ends now.
    pub fn kept_at_end(&self) -> Kept {
        let last = Some(self.story().next);
        Kept { last, ..self.kept() }
    }

    /// What the store is to keep of a job that is stopped while it waits.
    pub fn kept_at_cancel(&self) -> Kept {
        let last = Some(self.story().next + SLACK);
        Kept { last, ..self.kept() }
    }

    /// The first event from a number on.
    pub fn from(&self, number: u64) -> Next {
        let story = self.story();
        match (story.events.range(number..).next(), story.end) {
            (Some((number, event)), _) => Next::Event(*number, Box::new(event.clone())),
            (None, Some(end)) => Next::End(end),
            (None, None) => Next::NotYet,
        }
    }

    /// Hears of every change from now on.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Story {
    fn push(&mut self, event: JobEvent) {
        if matches!(event, JobEvent::Preview { .. }) {
            // An older preview is of no use any more.
            self.events.retain(|_, event| !matches!(event, JobEvent::Preview { .. }));
        }
        self.events.insert(self.next, event);
        self.next += 1;
        if self.events.len() > REMEMBERED {
            self.events.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(log: &EventLog) -> Vec<u64> {
        let (mut found, mut number) = (Vec::new(), 1);
        while let Next::Event(at, _) = log.from(number) {
            found.push(at);
            number = at + 1;
        }
        found
    }

    #[test]
    fn a_log_is_bounded_and_its_numbers_stay() {
        let log = EventLog::new("x".into());
        for step in 0..1_000 {
            log.push(JobEvent::Step { step, of: 1_000 });
        }
        let kept = numbers(&log);
        assert_eq!((kept.len(), kept.last()), (REMEMBERED, Some(&1_000)));
        assert_eq!(log.kept().events.len(), STORED);
        assert_eq!(log.kept_at_end().last, Some(1_001));
    }

    #[test]
    fn no_number_is_told_twice_after_a_restart() {
        let log = EventLog::new("x".into());
        log.push(JobEvent::Queued { ahead: 3 });
        log.begin();
        log.push(JobEvent::Step { step: 0, of: 4 });
        let restored = EventLog::restored("x".into(), &log.kept(), false);
        restored.push(JobEvent::Queued { ahead: 0 });
        assert_eq!(numbers(&restored), [1, 2, 2 + JUMP]);
        let over = EventLog::restored("x".into(), &log.kept_at_end(), true);
        assert!(matches!(over.from(3), Next::End(3)));
        assert!(matches!(EventLog::restored("x".into(), &Kept::default(), true).from(500), Next::End(UNTOLD)));
    }

    #[test]
    fn a_job_that_goes_on_after_its_end_goes_on_counting() {
        let log = EventLog::new("x".into());
        log.push(JobEvent::Queued { ahead: 0 });
        log.end(None);
        assert!(matches!(log.from(2), Next::End(2)) && !log.push(JobEvent::Queued { ahead: 1 }));
        log.reopen();
        log.push(JobEvent::Queued { ahead: 1 });
        assert!(matches!(log.from(1), Next::Event(3, _)));
    }

    #[test]
    fn who_has_begun_is_told_no_place() {
        let log = EventLog::new("x".into());
        log.begin();
        assert!(!log.push(JobEvent::Queued { ahead: 1 }));
        log.wait();
        assert!(log.push(JobEvent::Queued { ahead: 1 }));
    }
}

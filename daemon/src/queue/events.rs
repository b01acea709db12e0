//! What happened to each job, kept so that a listener can come late or come back.
//!
//! The final event is not kept here: the store has the job's end, and it is the truth.

use fresco_api::{Job, JobEvent, JobId, JobStatus};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

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

    /// A job's log. One that ended long ago has lost its log, but not its end.
    pub fn of(&self, id: &JobId, is_final: bool) -> Arc<EventLog> {
        let mut logs = self.logs();
        if let Some(log) = logs.by_job.get(id) {
            return log.clone();
        }
        let log = Arc::<EventLog>::default();
        if is_final {
            log.end();
        } else {
            logs.by_job.insert(id.clone(), log.clone());
        }
        log
    }

    pub fn push(&self, id: &JobId, event: JobEvent) {
        let log = self.logs().by_job.entry(id.clone()).or_default().clone();
        log.push(event);
    }

    /// No event but the final one follows.
    pub fn end(&self, id: &JobId) {
        let mut logs = self.logs();
        logs.by_job.entry(id.clone()).or_default().end();
        logs.ended.push_back(id.clone());
        while logs.ended.len() > self.ended_kept.max(1) {
            let oldest = logs.ended.pop_front();
            oldest.and_then(|oldest| logs.by_job.remove(&oldest));
        }
    }

    fn logs(&self) -> MutexGuard<'_, Logs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One job's events, without the final one. Their numbers count from 1.
pub(super) struct EventLog {
    story: Mutex<Story>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Story {
    /// A preview that a newer one replaced leaves a gap, so that logs stay short and numbers stay.
    events: Vec<Option<JobEvent>>,
    ended: bool,
}

/// What comes at a place in a log.
pub(super) enum Next {
    /// This event.
    Event(Box<JobEvent>),
    /// An event that is of no use any more.
    Gap,
    /// The final event, which the store knows; its number.
    End(u64),
    /// Nothing yet.
    NotYet,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { story: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl EventLog {
    fn push(&self, event: JobEvent) {
        let mut story = self.story();
        if !story.ended && story.events.last() != Some(&Some(event.clone())) {
            let is_preview = |event: &&mut Option<JobEvent>| matches!(event, Some(JobEvent::Preview { .. }));
            if matches!(event, JobEvent::Preview { .. })
                && let Some(older) = story.events.iter_mut().rev().find(is_preview)
            {
                *older = None;
            }
            story.events.push(Some(event));
            self.changed.send_replace(());
        }
    }

    fn end(&self) {
        self.story().ended = true;
        self.changed.send_replace(());
    }

    /// The event with a number.
    pub fn at(&self, number: u64) -> Next {
        let story = self.story();
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        match story.events.get(index) {
            Some(Some(event)) => Next::Event(Box::new(event.clone())),
            Some(None) => Next::Gap,
            None if story.ended => Next::End(story.events.len() as u64 + 1),
            None => Next::NotYet,
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

/// The event with which a job's story ends, once it has.
pub(super) fn final_event(job: Job) -> Option<JobEvent> {
    match job.status {
        JobStatus::Completed => job.result.map(|result| JobEvent::Done { result: Box::new(result) }),
        JobStatus::Failed => job.error.map(|error| JobEvent::Failed { error }),
        JobStatus::Cancelled => Some(JobEvent::Cancelled),
        JobStatus::Queued | JobStatus::Processing => None,
    }
}

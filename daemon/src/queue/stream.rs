//! One listener's way through events: of one job to its end, or of all of an owner's jobs for ever.

use super::{
    Queue, View,
    events::{EventLog, Next},
    feed::Heard,
};
use fresco_api::{FeedEvent, JobEvent, JobId, JobStatus};
use futures_util::{Stream, stream};
use std::{collections::VecDeque, sync::Arc, time::SystemTime};
use tokio::sync::watch;

/// Of so many jobs a listener that was away is told.
const CAUGHT_UP: usize = 1_000;

/// A job's events from some number on, to the final one.
pub(crate) struct Story {
    queue: Queue,
    view: View,
    id: JobId,
    log: Arc<EventLog>,
    changed: watch::Receiver<()>,
    number: u64,
    over: bool,
}

impl Story {
    pub(super) fn new(queue: Queue, view: View, id: JobId, log: Arc<EventLog>, after: u64) -> Self {
        Self { queue, view, id, changed: log.listen(), log, number: after.saturating_add(1), over: false }
    }

    /// Whether the listener has heard everything.
    pub fn told(&self) -> bool {
        matches!(self.log.from(self.number), Next::End(last) if self.number > last)
    }

    /// The events with their numbers.
    pub fn stream(self) -> impl Stream<Item = (u64, JobEvent)> + Send {
        stream::unfold(self, |mut story| async move { Some((story.next().await?, story)) })
    }

    async fn next(&mut self) -> Option<(u64, JobEvent)> {
        while !self.over {
            self.changed.mark_unchanged();
            match self.log.from(self.number) {
                Next::Event(number, event) => {
                    self.number = number.saturating_add(1);
                    return Some((number, *event));
                }
                Next::End(last) => return self.finish(last).await,
                Next::NotYet => self.changed.changed().await.ok()?,
            }
        }
        None
    }

    async fn finish(&mut self, last: u64) -> Option<(u64, JobEvent)> {
        self.over = true;
        if self.number > last {
            return None;
        }
        let stored = self.queue.stored(&self.id).await.ok()?;
        Some((last, self.queue.final_event(stored, self.view).await?))
    }
}

/// The events of an owner's jobs from some number on.
pub(crate) struct Feedings {
    queue: Queue,
    owner: String,
    changed: watch::Receiver<()>,
    number: u64,
    /// What the store knows of the time that the listener was away.
    caught_up: VecDeque<(u64, FeedEvent)>,
}

impl Feedings {
    /// `after` is the last number that was heard; without one the stream begins now.
    pub(super) fn new(queue: Queue, owner: String, after: Option<u64>) -> Self {
        let feed = &queue.0.feed;
        let (changed, number) = (feed.listen(), after.unwrap_or_else(|| feed.last()));
        Self { queue, owner, changed, number, caught_up: VecDeque::new() }
    }

    /// The events with their numbers.
    pub fn stream(self) -> impl Stream<Item = (u64, FeedEvent)> + Send {
        stream::unfold(self, |mut feed| async move { Some((feed.next().await?, feed)) })
    }

    async fn next(&mut self) -> Option<(u64, FeedEvent)> {
        loop {
            if let Some((number, event)) = self.caught_up.pop_front() {
                return Some((number, event));
            }
            self.changed.mark_unchanged();
            match self.queue.0.feed.after(&self.owner, self.number) {
                Heard::Event(number, event) => {
                    self.number = number;
                    return Some((number, *event));
                }
                Heard::Missed { since, floor } => self.catch_up(since, floor).await?,
                Heard::NotYet => self.changed.changed().await.ok()?,
            }
        }
    }

    /// Tells how the jobs ended that ended meanwhile.
    async fn catch_up(&mut self, since: SystemTime, floor: u64) -> Option<()> {
        let stored = self.queue.0.store.since(&self.owner, since, CAUGHT_UP).await.ok()?;
        for stored in stored {
            let job = stored.job.id.clone();
            let event = match stored.job.status {
                // Their next events say more than anything that could be said here.
                JobStatus::Queued | JobStatus::Processing => None,
                _ => self.queue.final_event(stored, View::Feed).await,
            };
            // None of them moves the listener on: who breaks off here hears all of them again.
            self.caught_up.extend(event.map(|event| (self.number, FeedEvent { job, event })));
        }
        self.number = floor;
        if let Some((number, _)) = self.caught_up.back_mut() {
            *number = floor;
        }
        Some(())
    }
}

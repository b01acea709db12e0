//! One listener's way through a job's events.

use super::{
    Queue,
    events::{EventLog, Next, final_event},
};
use fresco_api::{Job, JobEvent, JobId};
use futures_util::{Stream, stream};
use std::sync::Arc;
use tokio::sync::watch;

/// A job's events from some number on, to the final one.
pub(crate) struct Story {
    queue: Queue,
    id: JobId,
    log: Arc<EventLog>,
    changed: watch::Receiver<()>,
    number: u64,
    /// The final event of a job that had ended when the listener came.
    end: Option<JobEvent>,
    over: bool,
}

impl Story {
    pub(super) fn new(queue: Queue, job: Job, log: Arc<EventLog>, after: u64) -> Self {
        let id = job.id.clone();
        let end = final_event(job);
        Self { queue, id, changed: log.listen(), log, number: after.saturating_add(1), end, over: false }
    }

    /// Whether the listener has heard everything.
    pub fn told(&self) -> bool {
        self.end.is_some() && matches!(self.log.at(self.number), Next::End(last) if self.number > last)
    }

    /// The events with their numbers.
    pub fn stream(self) -> impl Stream<Item = (u64, JobEvent)> + Send {
        stream::unfold(self, |mut story| async move { Some((story.next().await?, story)) })
    }

    async fn next(&mut self) -> Option<(u64, JobEvent)> {
        while !self.over {
            self.changed.mark_unchanged();
            match self.log.at(self.number) {
                Next::Event(event) => {
                    self.number += 1;
                    return Some((self.number - 1, *event));
                }
                Next::Gap => self.number += 1,
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
        let end = match self.end.take() {
            Some(end) => Some(end),
            None => self.queue.job(&self.id).await.ok().and_then(final_event),
        };
        Some((last, end?))
    }
}

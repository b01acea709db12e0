//! What a worker passes on while an engine works: stages to the listeners, the lease's life to the store.

use super::{
    Queue,
    events::EventLog,
    lock,
    store::{Lease, Standing},
    worker::LEASE,
};
use fresco_api::JobEvent;
use fresco_diffusion::Stage;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio_util::sync::CancellationToken;

/// The store hears of progress at most so often; listeners hear of each step.
const EVERY: Duration = Duration::from_millis(500);

/// A job's line to its listeners and to the store.
pub(super) struct Report<'a> {
    queue: &'a Queue,
    lease: &'a Lease,
    cancel: &'a CancellationToken,
    log: Arc<EventLog>,
    percent: u8,
    /// What the store was told last.
    stored: u8,
    since: Instant,
}

impl<'a> Report<'a> {
    pub fn new(queue: &'a Queue, lease: &'a Lease, cancel: &'a CancellationToken, log: Arc<EventLog>) -> Self {
        Self { queue, lease, cancel, log, percent: 0, stored: 0, since: Instant::now() }
    }

    pub async fn stage(&mut self, stage: Stage) {
        let percent = percent(stage);
        let moved = percent > self.percent;
        self.percent = self.percent.max(percent);
        if let Some(running) = lock(&self.queue.0.running).get_mut(&self.lease.job) {
            running.percent = self.percent;
        }
        // Thousands of tensors are loaded; a listener wants to see a bar move.
        let event = match stage {
            Stage::Loading { loaded, total } => (moved || loaded == 0).then_some(JobEvent::Loading { loaded, total }),
            Stage::Step { step, of } => Some(JobEvent::Step { step, of }),
            Stage::Encoding | Stage::Decoding => None,
        };
        if let Some(event) = event {
            self.queue.tell(&self.lease.job, &self.log, event);
        }
        // The first step and every half second: each of these waits for the disk.
        if self.percent > self.stored && (self.stored == 0 || self.since.elapsed() >= EVERY) {
            self.extend().await;
        }
    }

    pub fn preview(&self, image: String) {
        self.queue.tell(&self.lease.job, &self.log, JobEvent::Preview { image });
    }

    /// Keeps the lease, and hears whether the job is still wanted.
    pub async fn extend(&mut self) {
        let until = SystemTime::now() + LEASE;
        (self.stored, self.since) = (self.percent, Instant::now());
        match self.queue.0.store.extend(self.lease, self.percent, until, self.log.kept()).await {
            Ok(Standing::Held) => {}
            Ok(Standing::CancelAsked | Standing::Stale) => self.cancel.cancel(),
            // The lease may outlive the trouble; if not, the result will not count.
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// How far a job is at a stage, in per cent.
pub(super) fn percent(stage: Stage) -> u8 {
    let share = |done: u64, of: u64, width: u64| (done.min(of) * width).checked_div(of).unwrap_or(width) as u8;
    match stage {
        Stage::Loading { loaded, total } => share(loaded >> 10, total >> 10, 10),
        Stage::Encoding => 10,
        Stage::Step { step, of } => 10 + share(step.into(), of.into(), 85),
        Stage::Decoding => 95,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_runs_from_0_to_95() {
        let stages = [
            (Stage::Loading { loaded: 0, total: 1 << 30 }, 0),
            (Stage::Loading { loaded: 1 << 29, total: 1 << 30 }, 5),
            (Stage::Loading { loaded: 1 << 30, total: 1 << 30 }, 10),
            (Stage::Loading { loaded: 0, total: 0 }, 10),
            (Stage::Encoding, 10),
            (Stage::Step { step: 0, of: 4 }, 10),
            (Stage::Step { step: 2, of: 4 }, 52),
            (Stage::Step { step: 4, of: 4 }, 95),
            (Stage::Decoding, 95),
        ];
        for (stage, expected) in stages {
            assert_eq!(percent(stage), expected, "{stage:?}");
        }
    }
}

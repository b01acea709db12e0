//! The worker: takes a job, lets the engine make it, reports what happens, ends it.

use super::{
    Queue,
    store::{Finish, Lease, Outcome, Standing, StoreError},
};
use crate::{
    engine::{Engine, EngineError, Made, Progress, Task},
    picture,
};
use fresco_api::{ApiError, ErrorCode, JobEvent, JobResult, Params};
use fresco_diffusion::Stage;
use futures_util::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A lease lasts so long unless it is extended.
const LEASE: Duration = Duration::from_secs(30);
/// Extended so often, and swept so often.
const BEAT: Duration = Duration::from_secs(10);
/// After the store failed, the worker waits so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Works until `stopping` fires. The job that runs then is stopped and left to its lease.
pub async fn work(queue: Queue, engine: Arc<dyn Engine>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let worked = match next(&queue, &stopping).await {
            Ok(Some(lease)) => run(&queue, &*engine, lease, &stopping).await,
            Ok(None) => break,
            Err(error) => Err(error),
        };
        if let Err(error) = worked {
            tracing::error!("{error}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The next job's lease, or `None` when it is time to stop.
async fn next(queue: &Queue, stopping: &CancellationToken) -> Result<Option<Lease>, StoreError> {
    let store = &queue.0.store;
    while !stopping.is_cancelled() {
        for id in store.sweep(SystemTime::now()).await?.ended {
            queue.ended(&id).await?;
        }
        if let Some(lease) = queue.claim(LEASE).await? {
            return Ok(Some(lease));
        }
        tokio::select! {
            () = queue.0.work.notified() => {}
            () = tokio::time::sleep(BEAT) => {}
            () = stopping.cancelled() => {}
        }
    }
    Ok(None)
}

async fn run(queue: &Queue, engine: &dyn Engine, lease: Lease, stopping: &CancellationToken) -> Result<(), StoreError> {
    let started = Instant::now();
    let cancel = stopping.child_token();
    queue.running().insert(lease.job.clone(), cancel.clone());
    let made = follow(queue, engine, &lease, &cancel).await;
    queue.running().remove(&lease.job);
    if stopping.is_cancelled() {
        return Ok(());
    }
    let outcome = match made {
        Ok(made) => completed(made, lease.params.clone(), started).await,
        Err(EngineError::Cancelled) => Outcome::Cancelled,
        Err(EngineError::Failed(error)) => Outcome::Failed(error),
    };
    log(&lease, &outcome, started);
    match queue.0.store.finish(&lease, outcome, SystemTime::now()).await? {
        Finish::Applied => queue.ended(&lease.job).await,
        Finish::Stale => {
            tracing::warn!(job = %lease.job, "somebody else has the job by now; this result is dropped");
            Ok(())
        }
    }
}

/// Lets the engine work, passes its stages on, and keeps the lease.
async fn follow(
    queue: &Queue,
    engine: &dyn Engine,
    lease: &Lease,
    cancel: &CancellationToken,
) -> Result<Made, EngineError> {
    let (progress, mut stages) = Progress::new(cancel.clone());
    let (progress, mut previews) = match asks_for_previews(queue, lease).await? {
        true => {
            let (progress, newest) = progress.with_previews();
            (progress, Some(newest))
        }
        false => (progress, None),
    };
    let task = Task { pictures: lease.pictures.clone(), ..lease.params.clone().into() };
    let work = AssertUnwindSafe(engine.generate(task, progress)).catch_unwind();
    tokio::pin!(work);
    let mut beat = tokio::time::interval(BEAT);
    let mut report = Report { queue, lease, cancel, percent: 0 };
    let made = loop {
        tokio::select! {
            // In this order: what an engine said before its end is heard before its end.
            biased;
            Some(stage) = stages.recv() => report.stage(stage).await?,
            Some(image) = newest(&mut previews) => report.preview(image),
            made = &mut work => break made,
            _ = beat.tick() => report.extend().await?,
        }
    };
    while let Ok(stage) = stages.try_recv() {
        report.stage(stage).await?;
    }
    made.unwrap_or_else(|_| Err(ApiError::new(ErrorCode::Internal, "The engine broke down").into()))
}

/// Whether the request asked for previews; they are no parameter of the picture.
async fn asks_for_previews(queue: &Queue, lease: &Lease) -> Result<bool, EngineError> {
    let job = queue.0.store.job(&lease.job).await;
    let job = job.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    Ok(job.is_some_and(|job| job.request.image().preview))
}

/// The next preview. Never comes when there are none.
async fn newest(previews: &mut Option<watch::Receiver<Option<String>>>) -> Option<String> {
    if let Some(heard) = previews
        && heard.changed().await.is_ok()
    {
        return heard.borrow_and_update().clone();
    }
    std::future::pending().await
}

struct Report<'a> {
    queue: &'a Queue,
    lease: &'a Lease,
    cancel: &'a CancellationToken,
    percent: u8,
}

impl Report<'_> {
    async fn stage(&mut self, stage: Stage) -> Result<(), EngineError> {
        let percent = percent(stage);
        let moved = percent > self.percent;
        self.percent = self.percent.max(percent);
        // Thousands of tensors are loaded; a listener wants to see a bar move.
        let event = match stage {
            Stage::Loading { loaded, total } => (moved || loaded == 0).then_some(JobEvent::Loading { loaded, total }),
            Stage::Step { step, of } => Some(JobEvent::Step { step, of }),
            Stage::Encoding | Stage::Decoding => None,
        };
        if let Some(event) = event {
            self.queue.0.events.push(&self.lease.job, event);
        }
        if moved { self.extend().await } else { Ok(()) }
    }

    fn preview(&self, image: String) {
        self.queue.0.events.push(&self.lease.job, JobEvent::Preview { image });
    }

    async fn extend(&self) -> Result<(), EngineError> {
        let until = SystemTime::now() + LEASE;
        match self.queue.0.store.extend(self.lease, self.percent, until).await {
            Ok(Standing::Held) => {}
            Ok(Standing::CancelAsked | Standing::Stale) => self.cancel.cancel(),
            // The lease may outlive the trouble; if not, the result will not count.
            Err(error) => tracing::error!("{error}"),
        }
        Ok(())
    }
}

/// How far a job is at a stage, in per cent.
fn percent(stage: Stage) -> u8 {
    let share = |done: u64, of: u64, width: u64| (done.min(of) * width).checked_div(of).unwrap_or(width) as u8;
    match stage {
        Stage::Loading { loaded, total } => share(loaded >> 10, total >> 10, 10),
        Stage::Encoding => 10,
        Stage::Step { step, of } => 10 + share(step.into(), of.into(), 85),
        Stage::Decoding => 95,
    }
}

async fn completed(made: Made, params: Params, started: Instant) -> Outcome {
    let seed = params.seed;
    let encoding = tokio::task::spawn_blocking(move || {
        let image = picture::data_url(&made.output.picture.png_with(&params));
        (image, params)
    });
    match encoding.await {
        Ok((image, parameters)) => {
            let time_taken = milliseconds(started);
            Outcome::Completed(Box::new(JobResult { images: vec![image], seed, parameters, time_taken }))
        }
        Err(_) => Outcome::Failed(ApiError::new(ErrorCode::Internal, "The picture could not be written as a PNG")),
    }
}

/// What became of a job, without anything of its request.
fn log(lease: &Lease, outcome: &Outcome, started: Instant) {
    let (job, ms) = (&lease.job, milliseconds(started));
    match outcome {
        Outcome::Completed(_) => tracing::info!(%job, ms, "completed"),
        Outcome::Cancelled => tracing::info!(%job, ms, "cancelled"),
        Outcome::Failed(error) => tracing::warn!(%job, ms, "failed: {error}"),
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
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

//! The worker: takes a job, lets the engine make it, reports what happens, ends it.

use super::{
    Queue, Running, lock,
    report::Report,
    store::{Answered, Finish, Finished, Kept, Lease, Outcome, Output, StoreError},
};
use crate::{
    crash,
    engine::{Engine, EngineError, Made, Progress, Task},
    images::{cache::CacheKey, history::new_id},
};
use fresco_api::{ApiError, ErrorCode, JobResult};
use futures_util::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::watch;
use tokio_util::{bytes::Bytes, sync::CancellationToken};

/// A lease lasts so long unless it is extended.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// Extended so often, and swept so often.
const BEAT: Duration = Duration::from_secs(10);
/// After the store failed, the worker waits so long.
const PAUSE: Duration = Duration::from_secs(1);
/// So often the store is told how a job ended.
const TRIES: u32 = 5;
/// An engine that was told to stop and does not is waited for so long.
const STUBBORN: Duration = Duration::from_secs(30);

/// Works until `stopping` fires. The job that runs then is stopped at its next step and given back.
pub async fn work(queue: Queue, engine: Arc<dyn Engine>, timeout: Option<Duration>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let worked = match next(&queue, &stopping).await {
            Ok(Some(lease)) => {
                Worker { queue: &queue, engine: &*engine, timeout, stopping: &stopping }.run(lease).await
            }
            Ok(None) => break,
            Err(error) => Err(error),
        };
        if let Err(error) = worked {
            tracing::error!("{error}");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stopping.cancelled() => {}
            }
        }
    }
}

/// Takes back leases that ran out, until `stopping` fires.
pub async fn sweep(queue: Queue, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            () = stopping.cancelled() => return,
        }
        if let Err(error) = queue.sweep(false).await {
            tracing::error!("{error}");
        }
    }
}

/// The next job's lease, or `None` when it is time to stop.
async fn next(queue: &Queue, stopping: &CancellationToken) -> Result<Option<Lease>, StoreError> {
    while !stopping.is_cancelled() {
        if let Some(lease) = queue.claim(LEASE).await? {
            // There may be more than one worker, and more than one job.
            queue.0.work.notify_one();
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

struct Worker<'a> {
    queue: &'a Queue,
    engine: &'a dyn Engine,
    timeout: Option<Duration>,
    stopping: &'a CancellationToken,
}

impl Worker<'_> {
    async fn run(&self, lease: Lease) -> Result<(), StoreError> {
        let started = Instant::now();
        let cancel = self.stopping.child_token();
        let running = Running { cancel: cancel.clone(), percent: 0 };
        lock(&self.queue.0.running).insert(lease.job.clone(), running);
        // Before the files are read: should they change meanwhile, the result is not taken for that of the new ones.
        let key = self.queue.cache_key(&lease.params).await;
        let made = self.follow(&lease, &cancel).await;
        lock(&self.queue.0.running).remove(&lease.job);
        let outcome = match made {
            Ok(made) => self.completed(made, &lease, started, key).await,
            Err(EngineError::Cancelled) if self.stopping.is_cancelled() => return self.give_back(&lease).await,
            Err(EngineError::Cancelled) => Outcome::Cancelled,
            Err(EngineError::Failed(error)) => Outcome::Failed(error),
        };
        log(&lease, &outcome, started);
        self.end(&lease, outcome).await
    }

    /// Ends a job and tells everybody.
    async fn end(&self, lease: &Lease, outcome: Outcome) -> Result<(), StoreError> {
        let kept = self.queue.log(lease).await.kept_at_end();
        let last = kept.last;
        let finish = self.finish(lease, outcome, kept).await?;
        crash::at(crash::Seam::AfterFinish);
        let Finish::Applied(consequences) = finish else {
            tracing::warn!(job = %lease.job, "somebody else has the job by now; this result is dropped");
            return Ok(());
        };
        for id in &consequences.released {
            self.queue.released(id).await?;
        }
        for id in &consequences.ended {
            self.queue.ended_alone(id, None).await;
        }
        if !consequences.released.is_empty() {
            self.queue.0.work.notify_one();
        }
        self.queue.ended(&lease.job, last).await
    }

    /// Says how a job ended. A result is worth some patience with the disk; the lease holds meanwhile.
    async fn finish(&self, lease: &Lease, outcome: Outcome, kept: Kept) -> Result<Finish, StoreError> {
        for _ in 1..TRIES {
            match self.queue.0.store.finish(lease, outcome.clone(), SystemTime::now(), kept.clone()).await {
                Ok(finish) => return Ok(finish),
                Err(error) => tracing::error!(job = %lease.job, "{error}; tried again"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.queue.0.store.finish(lease, outcome, SystemTime::now(), kept).await
    }

    async fn give_back(&self, lease: &Lease) -> Result<(), StoreError> {
        let log = self.queue.log(lease).await;
        self.queue.0.store.release(lease, SystemTime::now(), log.kept()).await?;
        tracing::info!(job = %lease.job, "given back: the server stops");
        Ok(())
    }

    /// Lets the engine work, passes its stages on, and keeps the lease.
    async fn follow(&self, lease: &Lease, cancel: &CancellationToken) -> Result<Made, EngineError> {
        let pictures = self.queue.prepared(lease).await?;
        let (progress, mut stages) = Progress::new(cancel.clone());
        let (progress, mut previews) = match lease.request.image().preview {
            true => {
                let (progress, newest) = progress.with_previews();
                (progress, Some(newest))
            }
            false => (progress, None),
        };
        let task = Task { pictures, ..lease.params.clone().into() };
        // Some engines break before they give a future.
        let work = AssertUnwindSafe(async { self.engine.generate(task, progress).await }).catch_unwind();
        tokio::pin!(work);
        let mut beat = tokio::time::interval(BEAT);
        let mut deadline = Deadline::new(self.timeout);
        let mut report = Report::new(self.queue, lease, cancel, self.queue.log(lease).await);
        let made = loop {
            tokio::select! {
                // In this order: what an engine said before its end is heard before its end.
                biased;
                Some(stage) = stages.recv() => report.stage(stage).await,
                Some(image) = newest(&mut previews) => report.preview(image),
                made = &mut work => break made,
                _ = beat.tick() => report.extend().await,
                () = deadline.passes() => match deadline.late {
                    true => return Err(deadline.error()),
                    false => {
                        deadline.give_time_to_stop();
                        cancel.cancel();
                    }
                },
            }
        };
        while let Ok(stage) = stages.try_recv() {
            report.stage(stage).await;
        }
        let broke = |_| Err(ApiError::new(ErrorCode::Internal, "The engine broke down").into());
        match made.unwrap_or_else(broke) {
            Err(EngineError::Cancelled) if deadline.late => Err(deadline.error()),
            made => {
                *lock(&self.queue.0.loaded) = made.is_ok().then(|| lease.params.model.clone());
                made
            }
        }
    }

    /// Stores a picture: only then its job may say that it is completed.
    async fn completed(&self, made: Made, lease: &Lease, started: Instant, key: Option<CacheKey>) -> Outcome {
        let params = lease.params.clone();
        let (width, height) = (made.output.picture.width, made.output.picture.height);
        let encoding = tokio::task::spawn_blocking(move || made.output.picture.png_with(&params));
        let Ok(png) = encoding.await else {
            return Outcome::Failed(ApiError::new(ErrorCode::Internal, "The picture could not be written as a PNG"));
        };
        let bytes = png.len() as u64;
        let hash = match self.queue.0.blobs.put(Bytes::from(png)).await {
            Ok(hash) => hash,
            Err(error) => {
                tracing::error!(job = %lease.job, "the picture cannot be stored: {error}");
                return Outcome::Failed(ApiError::new(ErrorCode::Internal, "The picture could not be stored"));
            }
        };
        crash::at(crash::Seam::AfterBlob);
        let (parameters, time_taken) = (lease.params.clone(), milliseconds(started));
        let result = JobResult { images: Vec::new(), seed: parameters.seed, parameters, time_taken, cached: false };
        let output = Output { image: new_id(), hash, bytes, width, height };
        let answered = key.map(|key| Answered { key, made_by: lease.job.clone() });
        Outcome::Completed(Box::new(Finished { result, outputs: vec![output], answered }))
    }
}

/// When a job takes too long.
struct Deadline {
    limit: Option<Duration>,
    at: Option<tokio::time::Instant>,
    /// Whether it has passed once, and the engine was told.
    late: bool,
}

impl Deadline {
    fn new(limit: Option<Duration>) -> Self {
        Self { limit, at: limit.map(|limit| tokio::time::Instant::now() + limit), late: false }
    }

    async fn passes(&self) {
        match self.at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    fn give_time_to_stop(&mut self) {
        (self.late, self.at) = (true, Some(tokio::time::Instant::now() + STUBBORN));
    }

    fn error(&self) -> EngineError {
        let limit = self.limit.unwrap_or_default();
        let message = format!("The job took longer than {limit:?}, which is the most (JOB_TIMEOUT)");
        ApiError::new(ErrorCode::Timeout, message).into()
    }
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

//! The job store in SQLite: every policy of the queue as a transaction.
//!
//! [`submit`] takes jobs in, [`turns`] gives them out, [`leases`] hears how they go and end, [`edits`] is what owners
//! do, [`reads`] what is asked.

mod edits;
mod leases;
mod reads;
mod rows;
mod submit;
mod turns;

pub(crate) use leases::gave_up;

use super::store::{
    Answer, Cancel, Changed, Filter, Finish, JobEdits, JobReads, JobStore, Kept, Lease, Outcome, Output, Spot,
    Standing, StoreError, Stored, Submission, Submitted, Swept,
};
use crate::{config::QueueLimits, crash, data::Database, images::cache::CacheKey};
use fresco_api::{Batch, BatchId, Job, JobId, ModelId, Priority, QueueStatus};
use futures_util::{FutureExt, future::BoxFuture};
use rows::milliseconds;
use sqlx::SqliteConnection;
use std::{
    fmt::Display,
    time::{Duration, SystemTime},
};

/// Jobs in the daemon's database.
pub struct SqliteStore {
    data: Database,
    limits: QueueLimits,
    fenced: bool,
}

fn broken(error: impl Display) -> StoreError {
    StoreError(error.to_string())
}

impl SqliteStore {
    /// The jobs that are in the database.
    pub fn new(data: Database, limits: QueueLimits) -> Self {
        Self { data, limits, fenced: true }
    }

    /// The same without comparing tokens: a test shows with it what the tokens are for.
    #[doc(hidden)]
    pub fn unfenced(self) -> Self {
        Self { fenced: false, ..self }
    }

    fn write<T, W>(&self, work: W) -> Answer<'_, T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        async move { self.data.write(work).await.map_err(broken) }.boxed()
    }

    fn read<T, W>(&self, work: W) -> Answer<'_, T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        async move {
            // One transaction, so that what belongs together is of one moment.
            let mut transaction = self.data.reader().begin().await.map_err(broken)?;
            let answer = work(&mut transaction).await.map_err(broken)?;
            transaction.commit().await.map_err(broken)?;
            Ok(answer)
        }
        .boxed()
    }
}

impl JobStore for SqliteStore {
    fn submit(&self, submission: Submission, now: SystemTime) -> Answer<'_, Submitted> {
        let (limits, now) = (self.limits, milliseconds(now));
        let written = self.write(move |connection| {
            async move {
                let submitted = submit::submit(connection, limits, &submission, now).await?;
                leases::prune(connection, limits.history_jobs).await?;
                Ok(submitted)
            }
            .boxed()
        });
        async move {
            let submitted = written.await?;
            crash::at(crash::Seam::AfterCommit);
            Ok(submitted)
        }
        .boxed()
    }

    fn claim(&self, now: SystemTime, ttl: Duration, loaded: Option<ModelId>) -> Answer<'_, Option<Lease>> {
        let (until, now) = (milliseconds(now + ttl), milliseconds(now));
        self.write(move |connection| async move { turns::claim(connection, now, until, loaded.as_ref()).await }.boxed())
    }

    fn extend(&self, lease: &Lease, progress: u8, until: SystemTime, kept: Kept) -> Answer<'_, Standing> {
        let (lease, fenced, until) = (lease.clone(), self.fenced, milliseconds(until));
        self.write(move |connection| {
            async move { leases::extend(connection, fenced, &lease, progress, until, &kept).await }.boxed()
        })
    }

    fn finish(&self, lease: &Lease, outcome: Outcome, now: SystemTime, kept: Kept) -> Answer<'_, Finish> {
        let (lease, fenced, now, limits) = (lease.clone(), self.fenced, milliseconds(now), self.limits);
        self.write(move |connection| {
            async move {
                let finished = leases::finish(connection, fenced, &lease, &outcome, now, &kept).await?;
                leases::prune(connection, limits.history_jobs).await?;
                Ok(finished)
            }
            .boxed()
        })
    }

    fn release(&self, lease: &Lease, now: SystemTime, kept: Kept) -> Answer<'_, Finish> {
        let (lease, fenced, now, limits) = (lease.clone(), self.fenced, milliseconds(now), self.limits);
        self.write(move |connection| {
            async move {
                let released = leases::release(connection, fenced, &lease, now, &kept).await?;
                leases::prune(connection, limits.history_jobs).await?;
                Ok(released)
            }
            .boxed()
        })
    }

    fn sweep(&self, now: SystemTime, all: bool) -> Answer<'_, Swept> {
        let (now, limits) = (milliseconds(now), self.limits);
        self.write(move |connection| {
            async move {
                let swept = leases::sweep(connection, now, all).await?;
                leases::prune(connection, limits.history_jobs).await?;
                Ok(swept)
            }
            .boxed()
        })
    }
}

impl JobEdits for SqliteStore {
    fn cancel(&self, id: &JobId, now: SystemTime, kept: Kept) -> Answer<'_, Cancel> {
        let (id, now, limits) = (id.clone(), milliseconds(now), self.limits);
        self.write(move |connection| {
            async move {
                let cancelled = edits::cancel(connection, &id.0, now, &kept).await?;
                leases::prune(connection, limits.history_jobs).await?;
                Ok(cancelled)
            }
            .boxed()
        })
    }

    fn retry(&self, id: &JobId, now: SystemTime) -> Answer<'_, Changed> {
        let (id, limits, now) = (id.clone(), self.limits, milliseconds(now));
        self.write(move |connection| async move { edits::retry(connection, limits, &id.0, now).await }.boxed())
    }

    fn prioritise(&self, id: &JobId, priority: Priority) -> Answer<'_, Changed> {
        let id = id.clone();
        self.write(move |connection| async move { edits::prioritise(connection, &id.0, priority).await }.boxed())
    }

    fn move_to(&self, id: &JobId, spot: Spot) -> Answer<'_, Changed> {
        let id = id.clone();
        self.write(move |connection| async move { edits::move_to(connection, &id.0, &spot).await }.boxed())
    }

    fn forget(&self, id: &JobId) -> Answer<'_, Changed> {
        let id = id.clone();
        self.write(move |connection| async move { edits::forget(connection, &id.0).await }.boxed())
    }

    fn pause(&self, paused: bool) -> Answer<'_, ()> {
        self.write(move |connection| {
            async move {
                sqlx::query("UPDATE queue SET paused = ?").bind(paused).execute(connection).await?;
                Ok(())
            }
            .boxed()
        })
    }
}

impl JobReads for SqliteStore {
    fn job(&self, id: &JobId) -> Answer<'_, Option<Stored>> {
        let id = id.clone();
        self.read(move |connection| async move { reads::job(connection, &id.0).await }.boxed())
    }

    fn newest(&self, filter: Filter) -> Answer<'_, Vec<Job>> {
        self.read(move |connection| async move { reads::newest(connection, &filter).await }.boxed())
    }

    fn line(&self, limit: usize, now: SystemTime) -> Answer<'_, Vec<JobId>> {
        let now = milliseconds(now);
        self.read(move |connection| async move { turns::line(connection, limit, now).await }.boxed())
    }

    fn since(&self, owner: &str, time: SystemTime, limit: usize) -> Answer<'_, Vec<Stored>> {
        let (owner, time) = (owner.to_owned(), milliseconds(time));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |connection| async move { reads::since(connection, &owner, time, limit).await }.boxed())
    }

    fn answer(&self, key: &CacheKey) -> Answer<'_, Option<(JobId, Vec<Output>)>> {
        let key = key.clone();
        self.read(move |connection| async move { reads::answer(connection, &key).await }.boxed())
    }

    fn batch(&self, id: &BatchId) -> Answer<'_, Option<(Batch, String)>> {
        let id = id.clone();
        self.read(move |connection| async move { reads::batch(connection, &id).await }.boxed())
    }

    fn status(&self) -> Answer<'_, QueueStatus> {
        self.read(|connection| reads::status(connection).boxed())
    }
}

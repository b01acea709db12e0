//! Jobs come in.

use super::rows::{State, json, kind_name, put_outputs};
use crate::config::QueueLimits;
use crate::queue::{
    policy,
    store::{Key, NewJob, Place, Submission, Submitted},
};
use fresco_api::{BatchId, JobId};
use sqlx::{Row, SqliteConnection};

/// Places lie so far apart, so that jobs can be moved between others.
pub(super) const SPACING: i64 = 1 << 20;

/// Puts jobs into the queue; `now` in milliseconds.
pub(super) async fn submit(
    connection: &mut SqliteConnection,
    limits: QueueLimits,
    submission: &Submission,
    now: i64,
) -> Result<Submitted, sqlx::Error> {
    let owner = submission.owner.as_str();
    if let Some(key) = &submission.key
        && let Some(known) = known(connection, owner, key).await?
    {
        return Ok(known);
    }
    let load = load(connection, owner).await?;
    let new = submission.jobs.iter().filter(|job| job.made.is_none()).count();
    if new > 0 && load.waiting.saturating_add(new as u64) > limits.waiting as u64 {
        return Ok(Submitted::Full { limit: limits.waiting });
    }
    let bytes = submission.jobs.iter().fold(0u64, |sum, job| sum.saturating_add(job.input_bytes));
    if bytes > 0 && picture_bytes(connection).await?.saturating_add(bytes) > limits.picture_bytes as u64 {
        return Ok(Submitted::NoRoom { limit: limits.picture_bytes });
    }
    let batch = submission.batch.as_ref().map(|(id, _)| id);
    if let Some((id, request)) = &submission.batch {
        sqlx::query("INSERT INTO batches (id, owner, request, created) VALUES (?, ?, ?, ?)")
            .bind(&id.0)
            .bind(owner)
            .bind(json(request)?)
            .bind(now)
            .execute(&mut *connection)
            .await?;
    }
    for (position, job) in (0i64..).zip(&submission.jobs) {
        insert(connection, owner, batch, position, job, now).await?;
    }
    if let Some(key) = &submission.key {
        remember(connection, owner, key, batch, submission.jobs.first().map(|job| &job.id)).await?;
    }
    Ok(Submitted::Accepted { ahead: load.ahead })
}

/// What the same key led to before.
async fn known(connection: &mut SqliteConnection, owner: &str, key: &Key) -> Result<Option<Submitted>, sqlx::Error> {
    let sql = "SELECT body, job, batch FROM submits WHERE owner = ? AND key = ?";
    let Some(row) = sqlx::query(sql).bind(owner).bind(&key.name).fetch_optional(connection).await? else {
        return Ok(None);
    };
    if row.try_get::<&str, _>("body")? != key.body {
        return Ok(Some(Submitted::KeyReused));
    }
    let batch = row.try_get::<Option<String>, _>("batch")?.map(|id| Place::Batch(BatchId(id)));
    let job = row.try_get::<Option<String>, _>("job")?.map(|id| Place::Job(JobId(id)));
    Ok(batch.or(job).map(Submitted::Repeated))
}

async fn remember(
    connection: &mut SqliteConnection,
    owner: &str,
    key: &Key,
    batch: Option<&BatchId>,
    job: Option<&JobId>,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO submits (owner, key, body, batch, job) VALUES (?, ?, ?, ?, ?)")
        .bind(owner)
        .bind(&key.name)
        .bind(&key.body)
        .bind(batch.map(|id| id.0.as_str()))
        // A batch is forgotten as a whole, not with its first job.
        .bind(job.filter(|_| batch.is_none()).map(|id| id.0.as_str()))
        .execute(connection)
        .await?;
    Ok(())
}

/// How full the queue is.
pub(super) struct Load {
    /// Jobs that wait, those included that wait for others.
    pub waiting: u64,
    /// Jobs that go before an owner's next one.
    pub ahead: u64,
}

pub(super) async fn load(connection: &mut SqliteConnection, owner: &str) -> Result<Load, sqlx::Error> {
    let sql = "SELECT owner, sum(waiting) FROM lines WHERE waiting > 0 GROUP BY owner";
    let lines: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&mut *connection).await?;
    let sql = "SELECT (SELECT count(*) FROM jobs WHERE status = 'processing'), \
               (SELECT count(*) FROM jobs WHERE status = 'held')";
    let (running, held): (i64, i64) = sqlx::query_as(sql).fetch_one(connection).await?;
    let waiting: i64 = lines.iter().map(|(_, waiting)| waiting).sum();
    let own = lines.iter().find(|(name, _)| name == owner).map_or(0, |(_, waiting)| *waiting);
    // In turns: each other owner has at most one more before it than the owner has.
    let others = lines.iter().filter(|(name, _)| name != owner).map(|(_, waiting)| (*waiting).min(own + 1));
    let ahead = running + own + others.sum::<i64>();
    Ok(Load { waiting: (waiting + held).unsigned_abs(), ahead: ahead.unsigned_abs() })
}

/// Bytes of the pictures of jobs that are not final.
async fn picture_bytes(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let sql = "SELECT coalesce(sum(picture_bytes), 0) FROM jobs \
               WHERE picture_bytes > 0 AND status IN ('queued', 'held', 'processing')";
    let bytes: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(bytes.unsigned_abs())
}

/// A place behind all others.
pub(super) async fn last_place(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let sql = "UPDATE queue SET places = places + ? RETURNING places";
    sqlx::query_scalar(sql).bind(SPACING).fetch_one(connection).await
}

async fn insert(
    connection: &mut SqliteConnection,
    owner: &str,
    batch: Option<&BatchId>,
    position: i64,
    job: &NewJob,
    now: i64,
) -> Result<(), sqlx::Error> {
    let place = last_place(connection).await?;
    let state = match (&job.made, &job.after) {
        (Some(_), _) => State::Completed,
        (None, Some(_)) => State::Held,
        (None, None) => State::Queued,
    };
    let made = job.made.as_deref();
    let ended = made.map(|_| now);
    sqlx::query(
        "INSERT INTO jobs (id, owner, batch, position, label, after, kind, status, priority, place, model, cost, \
         prompt, request, params, picture_bytes, created, since, started, ended, progress, result, last_event) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&job.id.0)
    .bind(owner)
    .bind(batch.map(|id| id.0.as_str()))
    .bind(position)
    .bind(&job.label)
    .bind(job.after.as_ref().map(|id| id.0.as_str()))
    .bind(kind_name(job.kind))
    .bind(state.name())
    .bind(policy::level(job.priority))
    .bind(place)
    .bind(&job.params.model.0)
    .bind(policy::cost(&job.params))
    .bind(&job.params.prompt)
    .bind(json(&job.request)?)
    .bind(json(&job.params)?)
    .bind(i64::try_from(job.input_bytes).unwrap_or(i64::MAX))
    .bind(now)
    .bind(now)
    .bind(ended)
    .bind(ended)
    .bind(if made.is_some() { 100 } else { 0 })
    .bind(made.map(|made| json(&made.result)).transpose()?)
    // It is told that it waits, and then that it is done.
    .bind(made.map(|_| 2))
    .execute(&mut *connection)
    .await?;
    for (position, hash) in (0i64..).zip(&job.inputs) {
        put_input(connection, &job.id.0, position, &hash.to_string()).await?;
    }
    match made {
        Some(made) => put_outputs(connection, &job.id.0, made, now).await,
        None => Ok(()),
    }
}

/// Notes that a job starts from a picture.
pub(super) async fn put_input(
    connection: &mut SqliteConnection,
    job: &str,
    position: i64,
    hash: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO job_inputs (job, position, hash) VALUES (?, ?, ?)")
        .bind(job)
        .bind(position)
        .bind(hash)
        .execute(connection)
        .await?;
    Ok(())
}

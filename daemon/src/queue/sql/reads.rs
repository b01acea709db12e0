//! What is asked of the table of jobs.

use super::rows::{COLUMNS, State, outputs, parsed, stored};
use crate::queue::store::{Filter, Output, Stored};
use crate::{
    clock::rfc3339,
    images::{
        self,
        cache::{self, CacheKey},
    },
};
use fresco_api::{Batch, BatchId, Job, JobId, QueueStatus};
use sqlx::{AssertSqlSafe, SqliteConnection, sqlite::SqliteRow};
use std::time::{Duration, SystemTime};

async fn with_outputs(connection: &mut SqliteConnection, row: &SqliteRow) -> Result<Stored, sqlx::Error> {
    let stored = stored(row)?;
    let outputs = outputs(connection, &stored.job.id.0).await?;
    Ok(Stored { outputs, ..stored })
}

/// The columns, and what follows them. Only words of this file get into a statement.
fn select(rest: &'static str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("{COLUMNS}{rest}"))
}

pub(super) async fn job(connection: &mut SqliteConnection, id: &str) -> Result<Option<Stored>, sqlx::Error> {
    let found = sqlx::query(select("WHERE id = ?")).bind(id).fetch_optional(&mut *connection).await?;
    match found {
        Some(row) => with_outputs(connection, &row).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn newest(connection: &mut SqliteConnection, filter: &Filter) -> Result<Vec<Job>, sqlx::Error> {
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let before = filter.before.as_ref().map(|id| id.0.as_str());
    let prompt = filter.prompt.as_deref().map(pattern);
    let [one, other] = match (filter.dead, filter.status) {
        (true, _) => [State::Dead; 2].map(Some),
        (false, Some(status)) => State::of(status).map(Some),
        (false, None) => [None; 2],
    }
    .map(|state| state.map(State::name));
    let sql = match one {
        // The index of states has each state's jobs in their order.
        Some(_) => select(
            "WHERE status IN (?1, ?2) AND (?3 IS NULL OR id < ?3) AND (?4 IS NULL OR prompt LIKE ?4 ESCAPE '\\') \
             ORDER BY id DESC LIMIT ?5",
        ),
        None => select(
            "WHERE ?1 IS NULL AND ?2 IS NULL AND (?3 IS NULL OR id < ?3) \
             AND (?4 IS NULL OR prompt LIKE ?4 ESCAPE '\\') ORDER BY id DESC LIMIT ?5",
        ),
    };
    let query = sqlx::query(sql).bind(one).bind(other).bind(before).bind(prompt).bind(limit);
    query.fetch_all(connection).await?.iter().map(|row| Ok(stored(row)?.job)).collect()
}

/// A pattern that finds a text anywhere.
fn pattern(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

pub(super) async fn since(
    connection: &mut SqliteConnection,
    owner: &str,
    time: i64,
    limit: i64,
) -> Result<Vec<Stored>, sqlx::Error> {
    let ended = select("WHERE ended >= ? AND owner = ? ORDER BY ended, id LIMIT ?");
    let mut rows = sqlx::query(ended).bind(time).bind(owner).bind(limit).fetch_all(&mut *connection).await?;
    let alive = select("WHERE status IN ('queued', 'held', 'processing') AND owner = ? ORDER BY id LIMIT ?");
    rows.extend(sqlx::query(alive).bind(owner).bind(limit).fetch_all(&mut *connection).await?);
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(with_outputs(connection, row).await?);
    }
    Ok(found)
}

pub(super) async fn answer(
    connection: &mut SqliteConnection,
    key: &CacheKey,
) -> Result<Option<(JobId, Vec<Output>)>, sqlx::Error> {
    let Some(hit) = cache::lookup(connection, key).await? else { return Ok(None) };
    let output = |stored: images::Stored| Output {
        image: stored.image.id,
        hash: stored.hash,
        bytes: stored.image.bytes,
        width: stored.image.width,
        height: stored.image.height,
    };
    Ok(Some((hit.job, hit.images.into_iter().map(output).collect())))
}

pub(super) async fn batch(
    connection: &mut SqliteConnection,
    id: &BatchId,
) -> Result<Option<(Batch, String)>, sqlx::Error> {
    let sql = "SELECT owner, request, created FROM batches WHERE id = ?";
    let found: Option<(String, String, i64)> = sqlx::query_as(sql).bind(&id.0).fetch_optional(&mut *connection).await?;
    let Some((owner, request, created)) = found else { return Ok(None) };
    let rows = sqlx::query(select("WHERE batch = ? ORDER BY position")).bind(&id.0).fetch_all(connection).await?;
    let jobs = rows.iter().map(|row| Ok(stored(row)?.job)).collect::<Result<Vec<Job>, sqlx::Error>>()?;
    let (status, progress) = Batch::summary(&jobs);
    let created_at = rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(created.unsigned_abs()));
    let request = parsed(&request)?;
    Ok(Some((Batch { id: id.clone(), status, request, created_at, progress, jobs }, owner)))
}

pub(super) async fn status(connection: &mut SqliteConnection) -> Result<QueueStatus, sqlx::Error> {
    let sql = "SELECT (SELECT coalesce(sum(waiting), 0) FROM lines) + \
               (SELECT count(*) FROM jobs WHERE status = 'held'), \
               (SELECT count(*) FROM jobs WHERE status = 'processing'), \
               completed, failed, timed, milliseconds, paused FROM queue";
    let (queued, processing, completed, failed, timed, milliseconds, paused): (i64, i64, i64, i64, i64, i64, bool) =
        sqlx::query_as(sql).fetch_one(connection).await?;
    Ok(QueueStatus {
        queued_jobs: queued.unsigned_abs(),
        processing_jobs: processing.unsigned_abs(),
        completed_jobs: completed.unsigned_abs(),
        failed_jobs: failed.unsigned_abs(),
        paused,
        average_processing_time: if timed == 0 { 0.0 } else { milliseconds as f64 / timed as f64 },
    })
}

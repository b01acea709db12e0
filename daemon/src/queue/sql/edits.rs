//! What an owner does to jobs.

use super::leases::{consequences, feed_from};
use super::rows::{State, json, state};
use super::submit::{SPACING, last_place, load};
use crate::config::QueueLimits;
use crate::queue::{
    policy,
    store::{Cancel, Changed, Kept, Spot},
};
use fresco_api::{JobId, Priority};
use sqlx::{Row, SqliteConnection};

/// Stops a job, or asks for it.
pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    id: &str,
    now: i64,
    kept: &Kept,
) -> Result<Cancel, sqlx::Error> {
    match state(connection, id).await? {
        None => Ok(Cancel::Unknown),
        Some(State::Queued | State::Held) => {
            let sql = "UPDATE jobs SET status = 'cancelled', ended = ?, events = ?, last_event = ? WHERE id = ?";
            sqlx::query(sql)
                .bind(now)
                .bind(json(&kept.events)?)
                .bind(kept.last.and_then(|last| i64::try_from(last).ok()))
                .bind(id)
                .execute(&mut *connection)
                .await?;
            let more = consequences(connection, id, None, now).await?;
            Ok(Cancel::Cancelled(std::iter::once(JobId(id.to_owned())).chain(more.ended).collect()))
        }
        Some(State::Processing) => {
            let sql = "UPDATE jobs SET cancel_asked = 1 WHERE id = ?";
            sqlx::query(sql).bind(id).execute(connection).await?;
            Ok(Cancel::Requested)
        }
        Some(over) => Ok(Cancel::Already(over.status())),
    }
}

/// Puts a job that did not succeed into the queue again.
pub(super) async fn retry(
    connection: &mut SqliteConnection,
    limits: QueueLimits,
    id: &str,
    now: i64,
) -> Result<Changed, sqlx::Error> {
    let Some(before) = state(connection, id).await? else { return Ok(Changed::Unknown) };
    if !matches!(before, State::Failed | State::Dead | State::Cancelled) {
        return Ok(Changed::Not(before.status()));
    }
    let waiting = load(connection, "").await?.waiting;
    if waiting >= limits.waiting as u64 {
        return Ok(Changed::Full { limit: limits.waiting });
    }
    let sql = "SELECT after, EXISTS (SELECT 1 FROM job_inputs WHERE job = jobs.id) FROM jobs WHERE id = ?";
    let (after, fed): (Option<String>, bool) = sqlx::query_as(sql).bind(id).fetch_one(&mut *connection).await?;
    let parent = match after.as_deref().filter(|_| !fed) {
        Some(parent) => state(connection, parent).await?.map(|state| (parent, state)),
        None => None,
    };
    let next = match parent {
        None => State::Queued,
        Some((_, State::Queued | State::Held | State::Processing | State::Completed)) => State::Held,
        Some(_) => return Ok(Changed::Not(before.status())),
    };
    let place = last_place(connection).await?;
    sqlx::query(
        "UPDATE jobs SET status = ?, place = ?, since = ?, started = NULL, ended = NULL, progress = 0, attempts = 0, \
         overtaken = 0, cancel_asked = 0, error = NULL WHERE id = ?",
    )
    .bind(next.name())
    .bind(place)
    .bind(now)
    .bind(id)
    .execute(&mut *connection)
    .await?;
    if let Some((parent, State::Completed)) = parent
        && !feed_from(connection, id, parent, now).await?
    {
        // The picture that it started from is gone: it stays as it was.
        sqlx::query("UPDATE jobs SET status = ?, ended = ? WHERE id = ?")
            .bind(before.name())
            .bind(now)
            .bind(id)
            .execute(connection)
            .await?;
        return Ok(Changed::Not(before.status()));
    }
    Ok(Changed::Done)
}

/// Gives a waiting job another priority.
pub(super) async fn prioritise(
    connection: &mut SqliteConnection,
    id: &str,
    priority: Priority,
) -> Result<Changed, sqlx::Error> {
    match state(connection, id).await? {
        None => return Ok(Changed::Unknown),
        Some(State::Queued | State::Held) => {}
        Some(other) => return Ok(Changed::Not(other.status())),
    }
    let place = last_place(connection).await?;
    let sql = "UPDATE jobs SET priority = ?, place = ? WHERE id = ?";
    sqlx::query(sql).bind(policy::level(priority)).bind(place).bind(id).execute(connection).await?;
    Ok(Changed::Done)
}

/// Moves a waiting job within its owner's line.
pub(super) async fn move_to(connection: &mut SqliteConnection, id: &str, spot: &Spot) -> Result<Changed, sqlx::Error> {
    let sql = "SELECT owner, priority, status FROM jobs WHERE id = ?";
    let Some(row) = sqlx::query(sql).bind(id).fetch_optional(&mut *connection).await? else {
        return Ok(Changed::Unknown);
    };
    let (owner, priority): (String, i64) = (row.try_get("owner")?, row.try_get("priority")?);
    match State::read(row.try_get("status")?)? {
        State::Queued => {}
        other => return Ok(Changed::Not(other.status())),
    }
    let (priority, place) = match spot {
        Spot::Last => (priority, last_place(connection).await?),
        Spot::First => {
            let sql = "SELECT min(place) FROM jobs WHERE status = 'queued' AND owner = ? AND priority = ?";
            let first: i64 = sqlx::query_scalar(sql).bind(&owner).bind(priority).fetch_one(&mut *connection).await?;
            (priority, first.saturating_sub(SPACING))
        }
        Spot::Before(JobId(other)) if other == id => return Ok(Changed::Done),
        Spot::Before(JobId(other)) => {
            let sql = "SELECT priority, place FROM jobs WHERE id = ? AND status = 'queued' AND owner = ?";
            let found: Option<(i64, i64)> =
                sqlx::query_as(sql).bind(other).bind(&owner).fetch_optional(&mut *connection).await?;
            let Some((priority, place)) = found else { return Ok(Changed::Unknown) };
            (priority, gap(connection, &owner, priority, place).await?)
        }
    };
    let sql = "UPDATE jobs SET priority = ?, place = ? WHERE id = ?";
    sqlx::query(sql).bind(priority).bind(place).bind(id).execute(connection).await?;
    Ok(Changed::Done)
}

/// A free place right before `place`; makes one where there is none.
async fn gap(connection: &mut SqliteConnection, owner: &str, priority: i64, place: i64) -> Result<i64, sqlx::Error> {
    let sql = "SELECT max(place) FROM jobs WHERE status = 'queued' AND owner = ? AND priority = ? AND place < ?";
    let before: Option<i64> =
        sqlx::query_scalar(sql).bind(owner).bind(priority).bind(place).fetch_one(&mut *connection).await?;
    let Some(before) = before else { return Ok(place.saturating_sub(SPACING)) };
    if place - before > 1 {
        return Ok(before + (place - before) / 2);
    }
    sqlx::query(
        "UPDATE jobs SET place = place + ? WHERE status = 'queued' AND owner = ? AND priority = ? AND place >= ?",
    )
    .bind(SPACING)
    .bind(owner)
    .bind(priority)
    .bind(place)
    .execute(&mut *connection)
    .await?;
    // Whoever comes next still comes behind all of them.
    last_place(connection).await?;
    Ok(place + SPACING / 2)
}

/// Forgets a job that is final.
pub(super) async fn forget(connection: &mut SqliteConnection, id: &str) -> Result<Changed, sqlx::Error> {
    match state(connection, id).await? {
        None => return Ok(Changed::Unknown),
        Some(state) if !state.status().is_final() => return Ok(Changed::Not(state.status())),
        Some(_) => {}
    }
    sqlx::query("DELETE FROM jobs WHERE id = ?").bind(id).execute(&mut *connection).await?;
    let sql = "DELETE FROM batches WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE batch = batches.id)";
    sqlx::query(sql).execute(connection).await?;
    Ok(Changed::Done)
}

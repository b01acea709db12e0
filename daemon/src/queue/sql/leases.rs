//! What a lease's holder says, and what becomes of leases that nobody holds any more.

use super::rows::{State, json, outputs, parsed, put_outputs};
use super::submit::put_input;
use crate::images::{self, BlobHash, NewImage, history};
use crate::queue::store::{Consequences, Finish, Finished, Kept, Lease, MAX_ATTEMPTS, Outcome, Standing, Swept};
use fresco_api::{AnyRequest, ApiError, Edit, ErrorCode, ImageFormat, JobId, Params};
use sqlx::SqliteConnection;

/// Keeps a lease; `fenced` is false only in a test that shows why tokens are compared.
pub(super) async fn extend(
    connection: &mut SqliteConnection,
    fenced: bool,
    lease: &Lease,
    progress: u8,
    until: i64,
    kept: &Kept,
) -> Result<Standing, sqlx::Error> {
    let sql = "UPDATE jobs SET progress = max(progress, ?), lease = ?, events = ? \
               WHERE id = ? AND status = 'processing' AND (token = ? OR ?) RETURNING cancel_asked";
    let query = sqlx::query_scalar::<_, bool>(sql)
        .bind(progress.min(99))
        .bind(until)
        .bind(json(&kept.events)?)
        .bind(&lease.job.0)
        .bind(lease.token)
        .bind(!fenced);
    Ok(match query.fetch_optional(connection).await? {
        None => Standing::Stale,
        Some(true) => Standing::CancelAsked,
        Some(false) => Standing::Held,
    })
}

/// Ends a job, if the lease still holds.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    fenced: bool,
    lease: &Lease,
    outcome: &Outcome,
    now: i64,
    kept: &Kept,
) -> Result<Finish, sqlx::Error> {
    let (state, made, error) = match outcome {
        Outcome::Completed(made) => (State::Completed, Some(&**made), None),
        Outcome::Failed(error) => (State::Failed, None, Some(error)),
        Outcome::Cancelled => (State::Cancelled, None, None),
    };
    let sql = "UPDATE jobs SET status = ?, ended = ?, progress = max(progress, ?), result = ?, error = ?, events = ?, \
               last_event = ?, token = NULL, lease = NULL \
               WHERE id = ? AND status = 'processing' AND (token = ? OR ?)";
    let ended = sqlx::query(sql)
        .bind(state.name())
        .bind(now)
        .bind(if made.is_some() { 100 } else { 0 })
        .bind(made.map(|made| json(&made.result)).transpose()?)
        .bind(error.map(json).transpose()?)
        .bind(json(&kept.events)?)
        .bind(kept.last.and_then(|last| i64::try_from(last).ok()))
        .bind(&lease.job.0)
        .bind(lease.token)
        .bind(!fenced)
        .execute(&mut *connection)
        .await?;
    if ended.rows_affected() == 0 {
        return Ok(Finish::Stale);
    }
    count(connection, &lease.job.0, state, made, now).await?;
    if let Some(made) = made {
        remember(connection, lease, made, now).await?;
    }
    let consequences = consequences(connection, &lease.job.0, made, now).await?;
    Ok(Finish::Applied(consequences))
}

/// Writes a job's pictures into the history.
async fn remember(
    connection: &mut SqliteConnection,
    lease: &Lease,
    made: &Finished,
    now: i64,
) -> Result<(), sqlx::Error> {
    for (position, output) in (0..).zip(&made.outputs) {
        let image = NewImage {
            id: output.image.clone(),
            job: Some(lease.job.clone()),
            position,
            hash: output.hash,
            format: ImageFormat::Png,
            bytes: output.bytes,
            width: output.width,
            height: output.height,
            created: images::time(now),
            owner: lease.owner.clone(),
            params: made.result.parameters.clone(),
        };
        history::insert(connection, &image).await?;
    }
    Ok(())
}

/// Counts a job that ended, and notes what it made.
async fn count(
    connection: &mut SqliteConnection,
    job: &str,
    state: State,
    made: Option<&Finished>,
    now: i64,
) -> Result<(), sqlx::Error> {
    if let Some(made) = made {
        put_outputs(connection, job, made, now).await?;
    }
    if matches!(state, State::Failed | State::Dead) {
        sqlx::query("UPDATE queue SET failed = failed + 1").execute(connection).await?;
    }
    Ok(())
}

/// Lets go the jobs that waited for this one's picture, or ends them where there will be none.
pub(super) async fn consequences(
    connection: &mut SqliteConnection,
    job: &str,
    made: Option<&Finished>,
    now: i64,
) -> Result<Consequences, sqlx::Error> {
    let mut consequences = Consequences::default();
    let mut ended = vec![job.to_owned()];
    while let Some(id) = ended.pop() {
        let sql = "SELECT id FROM jobs WHERE after = ? AND status = 'held' ORDER BY id";
        let waiting: Vec<String> = sqlx::query_scalar(sql).bind(&id).fetch_all(&mut *connection).await?;
        let picture = made.filter(|_| id == job).and_then(|made| made.outputs.first()).map(|output| output.hash);
        for next in waiting {
            match picture {
                Some(picture) => {
                    feed(connection, &next, &picture, now).await?;
                    consequences.released.push(JobId(next));
                }
                None => {
                    let sql = "UPDATE jobs SET status = 'cancelled', ended = ? WHERE id = ?";
                    sqlx::query(sql).bind(now).bind(&next).execute(&mut *connection).await?;
                    consequences.ended.push(JobId(next.clone()));
                    ended.push(next);
                }
            }
        }
    }
    Ok(consequences)
}

/// Gives a job the picture that it starts from, and puts it into the queue.
pub(super) async fn feed(
    connection: &mut SqliteConnection,
    job: &str,
    picture: &BlobHash,
    now: i64,
) -> Result<(), sqlx::Error> {
    let sql = "SELECT request, params FROM jobs WHERE id = ?";
    let (request, params): (String, String) = sqlx::query_as(sql).bind(job).fetch_one(&mut *connection).await?;
    let (mut request, mut params): (AnyRequest, Params) = (parsed(&request)?, parsed(&params)?);
    let named = format!("sha256:{picture}");
    if let AnyRequest::Img2img(request) = &mut request {
        request.mode.init_image.clone_from(&named);
    }
    if let Some(Edit::Img2img { init_image, .. }) = &mut params.edit {
        *init_image = named;
    }
    put_input(connection, job, 0, &picture.to_string()).await?;
    sqlx::query("UPDATE jobs SET request = ?, params = ?, status = 'queued', since = ? WHERE id = ?")
        .bind(json(&request)?)
        .bind(json(&params)?)
        .bind(now)
        .bind(job)
        .execute(connection)
        .await?;
    Ok(())
}

/// Feeds a job with what another one made, if there is something.
pub(super) async fn feed_from(
    connection: &mut SqliteConnection,
    job: &str,
    from: &str,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let Some(picture) = outputs(connection, from).await?.into_iter().next() else { return Ok(false) };
    feed(connection, job, &picture.hash, now).await?;
    Ok(true)
}

/// Gives a job back as if it had not been taken.
pub(super) async fn release(
    connection: &mut SqliteConnection,
    fenced: bool,
    lease: &Lease,
    now: i64,
    kept: &Kept,
) -> Result<Finish, sqlx::Error> {
    let sql = "UPDATE jobs SET status = 'queued', attempts = attempts - 1, progress = 0, started = NULL, \
               token = NULL, lease = NULL, events = ? \
               WHERE id = ? AND status = 'processing' AND (token = ? OR ?) AND NOT cancel_asked";
    let released = sqlx::query(sql)
        .bind(json(&kept.events)?)
        .bind(&lease.job.0)
        .bind(lease.token)
        .bind(!fenced)
        .execute(&mut *connection)
        .await?;
    if released.rows_affected() > 0 {
        return Ok(Finish::Applied(Consequences::default()));
    }
    // It was to be stopped, or it is somebody else's.
    finish(connection, fenced, lease, &Outcome::Cancelled, now, kept).await
}

/// Takes back leases: those that ran out, or all.
pub(super) async fn sweep(connection: &mut SqliteConnection, now: i64, all: bool) -> Result<Swept, sqlx::Error> {
    let sql = "SELECT id, attempts, cancel_asked FROM jobs WHERE status = 'processing' AND (lease <= ? OR ?) \
               ORDER BY place";
    let stale: Vec<(String, u32, bool)> = sqlx::query_as(sql).bind(now).bind(all).fetch_all(&mut *connection).await?;
    let mut swept = Swept::default();
    for (id, attempts, cancel_asked) in stale {
        let (state, error) = if cancel_asked {
            (State::Cancelled, None)
        } else if attempts >= MAX_ATTEMPTS {
            (State::Dead, Some(gave_up(attempts)))
        } else {
            (State::Queued, None)
        };
        let ended = (state != State::Queued).then_some(now);
        sqlx::query(
            "UPDATE jobs SET status = ?, ended = ?, error = ?, token = NULL, lease = NULL, progress = \
             iif(? IS NULL, 0, progress) WHERE id = ?",
        )
        .bind(state.name())
        .bind(ended)
        .bind(error.as_ref().map(json).transpose()?)
        .bind(ended)
        .bind(&id)
        .execute(&mut *connection)
        .await?;
        if ended.is_none() {
            swept.requeued.push(JobId(id));
            continue;
        }
        count(connection, &id, state, None, now).await?;
        let more = consequences(connection, &id, None, now).await?;
        swept.ended.push(JobId(id));
        swept.ended.extend(more.ended);
    }
    Ok(swept)
}

/// Why a job is dead.
pub(crate) fn gave_up(attempts: u32) -> ApiError {
    let message = format!("The job was started {attempts} times and never finished");
    ApiError::new(ErrorCode::GaveUp, message)
}

/// Forgets the oldest jobs that have ended, beyond `most`, but never the last one.
pub(super) async fn prune(connection: &mut SqliteConnection, most: usize) -> Result<(), sqlx::Error> {
    let ended: i64 = sqlx::query_scalar("SELECT ended FROM queue").fetch_one(&mut *connection).await?;
    let surplus = ended.saturating_sub(i64::try_from(most.max(1)).unwrap_or(i64::MAX));
    if surplus > 0 {
        let sql = "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE ended IS NOT NULL \
                   ORDER BY ended, id LIMIT ?)";
        sqlx::query(sql).bind(surplus).execute(&mut *connection).await?;
        let sql = "DELETE FROM batches WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE batch = batches.id)";
        sqlx::query(sql).execute(connection).await?;
    }
    Ok(())
}

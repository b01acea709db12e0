//! Rows of the table of jobs, read and written.

use crate::queue::{
    policy,
    store::{Finished, Kept, Output, Stored},
};
use crate::{
    clock::rfc3339,
    images::{self, BlobHash, cache},
};
use fresco_api::{BatchId, ImageId, Job, JobId, JobKind, JobStatus};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use std::time::{Duration, SystemTime};

/// The columns that [`stored`] reads, in a query that calls the table `jobs`.
pub(super) const COLUMNS: &str = "SELECT id, owner, batch, label, kind, status, priority, request, created, started, \
     ended, progress, attempts, result, error, events, last_event FROM jobs ";

/// Where a job is, as the table says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Queued,
    /// It waits for another job's picture.
    Held,
    Processing,
    Completed,
    Failed,
    /// Failed after too many attempts.
    Dead,
    Cancelled,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Held => "held",
            State::Processing => "processing",
            State::Completed => "completed",
            State::Failed => "failed",
            State::Dead => "dead",
            State::Cancelled => "cancelled",
        }
    }

    /// What everybody else calls it.
    pub fn status(self) -> JobStatus {
        match self {
            State::Queued | State::Held => JobStatus::Queued,
            State::Processing => JobStatus::Processing,
            State::Completed => JobStatus::Completed,
            State::Failed | State::Dead => JobStatus::Failed,
            State::Cancelled => JobStatus::Cancelled,
        }
    }

    /// The states that everybody else calls so.
    pub fn of(status: JobStatus) -> [State; 2] {
        match status {
            JobStatus::Queued => [State::Queued, State::Held],
            JobStatus::Processing => [State::Processing; 2],
            JobStatus::Completed => [State::Completed; 2],
            JobStatus::Failed => [State::Failed, State::Dead],
            JobStatus::Cancelled => [State::Cancelled; 2],
        }
    }

    /// Of the table's word.
    pub fn read(name: &str) -> Result<Self, sqlx::Error> {
        let all = [
            State::Queued,
            State::Held,
            State::Processing,
            State::Completed,
            State::Failed,
            State::Dead,
            State::Cancelled,
        ];
        all.into_iter().find(|state| state.name() == name).ok_or_else(|| unreadable(format!("no state {name:?}")))
    }
}

/// A value that is not of its column's form.
pub(super) fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// A value as its column holds it.
pub(super) fn json(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// A column's value.
pub(super) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(unreadable)
}

/// A word of the wire as a column holds it, without the quotes.
pub(super) fn kind_name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Text2img => "text2img",
        JobKind::Img2img => "img2img",
        JobKind::Inpaint => "inpaint",
        JobKind::StyleTransfer => "style-transfer",
    }
}

fn kind(name: &str) -> Result<JobKind, sqlx::Error> {
    let all = [JobKind::Text2img, JobKind::Img2img, JobKind::Inpaint, JobKind::StyleTransfer];
    all.into_iter().find(|kind| kind_name(*kind) == name).ok_or_else(|| unreadable(format!("no kind {name:?}")))
}

/// A time as columns hold it; a time before 1970 is 1970.
pub(super) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn shown(milliseconds: i64) -> String {
    rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds.clamp(0, 253_402_300_799_999).unsigned_abs()))
}

/// A job from a row of [`COLUMNS`], without its outputs.
pub(super) fn stored(row: &SqliteRow) -> Result<Stored, sqlx::Error> {
    let text = |column| row.try_get::<Option<String>, _>(column);
    let time = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(shown));
    let state = State::read(row.try_get("status")?)?;
    let job = Job {
        id: JobId(row.try_get("id")?),
        kind: kind(row.try_get("kind")?)?,
        status: state.status(),
        request: parsed(row.try_get("request")?)?,
        created_at: shown(row.try_get("created")?),
        started_at: time("started")?,
        completed_at: time("ended")?,
        progress: row.try_get("progress")?,
        priority: policy::priority(row.try_get("priority")?),
        attempts: row.try_get("attempts")?,
        dead: state == State::Dead,
        batch: text("batch")?.map(BatchId),
        label: text("label")?,
        result: text("result")?.map(|text| parsed(&text)).transpose()?,
        error: text("error")?.map(|text| parsed(&text)).transpose()?,
    };
    let events = text("events")?.map(|text| parsed(&text)).transpose()?.unwrap_or_default();
    let last = row.try_get::<Option<i64>, _>("last_event")?.map(i64::unsigned_abs);
    Ok(Stored { job, owner: row.try_get("owner")?, outputs: Vec::new(), kept: Kept { events, last } })
}

/// A job's state.
pub(super) async fn state(connection: &mut SqliteConnection, id: &str) -> Result<Option<State>, sqlx::Error> {
    let found = sqlx::query_scalar::<_, String>("SELECT status FROM jobs WHERE id = ?").bind(id);
    found.fetch_optional(connection).await?.map(|name| State::read(&name)).transpose()
}

fn hash(text: &str) -> Result<BlobHash, sqlx::Error> {
    text.parse().map_err(|_| unreadable(format!("no hash {text:?}")))
}

/// The pictures that a job starts from.
pub(super) async fn inputs(connection: &mut SqliteConnection, job: &str) -> Result<Vec<BlobHash>, sqlx::Error> {
    let sql = "SELECT hash FROM job_inputs WHERE job = ? ORDER BY position";
    let found: Vec<String> = sqlx::query_scalar(sql).bind(job).fetch_all(connection).await?;
    found.iter().map(|text| hash(text)).collect()
}

/// The pictures that a job made.
pub(super) async fn outputs(connection: &mut SqliteConnection, job: &str) -> Result<Vec<Output>, sqlx::Error> {
    let sql = "SELECT image, hash, bytes, width, height FROM job_outputs WHERE job = ? ORDER BY position";
    let output = |row: &SqliteRow| {
        Ok(Output {
            image: ImageId(row.try_get("image")?),
            hash: hash(row.try_get("hash")?)?,
            bytes: row.try_get::<i64, _>("bytes")?.unsigned_abs(),
            width: row.try_get("width")?,
            height: row.try_get("height")?,
        })
    };
    sqlx::query(sql).bind(job).fetch_all(connection).await?.iter().map(output).collect()
}

/// Notes what a completed job made, and counts it.
pub(super) async fn put_outputs(
    connection: &mut SqliteConnection,
    job: &str,
    made: &Finished,
    now: i64,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO job_outputs (job, position, image, hash, bytes, width, height) VALUES (?, ?, ?, ?, ?, ?, ?)";
    for (position, output) in (0i64..).zip(&made.outputs) {
        sqlx::query(sql)
            .bind(job)
            .bind(position)
            .bind(&output.image.0)
            .bind(output.hash.to_string())
            .bind(i64::try_from(output.bytes).unwrap_or(i64::MAX))
            .bind(output.width)
            .bind(output.height)
            .execute(&mut *connection)
            .await?;
    }
    if let Some(answered) = &made.answered {
        let pictures = u32::try_from(made.outputs.len()).unwrap_or(u32::MAX);
        cache::insert(connection, &answered.key, &answered.made_by, pictures, images::time(now)).await?;
    }
    let timed = i64::from(!made.result.cached);
    let took = i64::try_from(made.result.time_taken).unwrap_or(i64::MAX) * timed;
    sqlx::query("UPDATE queue SET completed = completed + 1, timed = timed + ?, milliseconds = milliseconds + ?")
        .bind(timed)
        .bind(took)
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_kinds_are_read_as_they_are_written() {
        for status in
            [JobStatus::Queued, JobStatus::Processing, JobStatus::Completed, JobStatus::Failed, JobStatus::Cancelled]
        {
            for state in State::of(status) {
                assert_eq!(State::read(state.name()).expect("is read"), state);
                assert_eq!(state.status(), status);
            }
        }
        for known in [JobKind::Text2img, JobKind::Img2img, JobKind::Inpaint, JobKind::StyleTransfer] {
            assert_eq!(kind(kind_name(known)).expect("is read"), known);
            assert_eq!(serde_json::to_string(&known).expect("JSON"), format!("\"{}\"", kind_name(known)));
        }
        assert!(State::read("odd").is_err() && kind("odd").is_err());
    }

    #[test]
    fn no_number_breaks_a_time() {
        assert_eq!(shown(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(-5), shown(0));
        assert!(shown(i64::MAX).starts_with("9999-12-31"));
    }
}

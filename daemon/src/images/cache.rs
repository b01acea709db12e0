//! Answers that can be given again: the same parameters, model and seed make the same picture.
//!
//! An entry names the job that made the pictures once. It owns nothing: when one of them is deleted, it is gone.

use super::{Stored, history, milliseconds};
use fresco_api::{JobId, Params};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{Row, SqliteConnection};
use std::{fmt, time::SystemTime};

/// So many entries are kept; the one that nobody asked for longest goes first.
pub const MOST_ENTRIES: u32 = 10_000;

/// What an answer depends on, as one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey(String);

/// Everything that a picture depends on.
#[derive(Serialize)]
struct Canonical<'a> {
    /// Another version may draw another picture.
    version: &'static str,
    /// What the model's and the LoRAs' files are.
    weights: &'a [String],
    params: &'a Params,
}

impl CacheKey {
    /// The key of complete parameters. `weights` tells the files that make the picture apart: the model's, and those of
    /// the LoRAs that the prompt names, in their order. Pictures that a run starts from are in the parameters by hash.
    pub fn new(params: &Params, weights: &[String]) -> Self {
        let canonical = Canonical { version: env!("CARGO_PKG_VERSION"), weights, params };
        // Structs are written in the order of their fields, numbers in the fewest digits: one spelling each.
        let text = serde_json::to_string(&canonical).unwrap_or_default();
        let digest: [u8; 32] = Sha256::digest(text).into();
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An answer from before.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The job that made it.
    pub job: JobId,
    /// Its pictures in their order, all of them.
    pub images: Vec<Stored>,
}

/// The answer to a key, if all of it is still there. Only reads; see [`insert`] for what keeps an answer young.
///
/// # Errors
/// When the database fails.
pub async fn lookup(connection: &mut SqliteConnection, key: &CacheKey) -> Result<Option<Hit>, sqlx::Error> {
    let sql = "SELECT job_id, images FROM cache_entries WHERE key = ?";
    let entry = sqlx::query(sql).bind(key.0.as_str()).fetch_optional(&mut *connection).await?;
    let Some(entry) = entry else { return Ok(None) };
    let (job, expected): (String, u32) = (entry.try_get("job_id")?, entry.try_get("images")?);
    let job = JobId(job);
    let images = history::of_job(connection, &job).await?;
    let whole = u32::try_from(images.len()) == Ok(expected) && expected > 0;
    Ok(whole.then_some(Hit { job, images }))
}

/// Remembers that a job answered a key with so many pictures. Belongs into the transaction that makes the job final:
/// that of an engine's job, and that of a job which was answered from here, which makes the entry young again.
///
/// # Errors
/// When the database refuses.
pub async fn insert(
    connection: &mut SqliteConnection,
    key: &CacheKey,
    job: &JobId,
    images: u32,
    now: SystemTime,
) -> Result<(), sqlx::Error> {
    bounded_insert(connection, key, job, images, now, MOST_ENTRIES).await
}

async fn bounded_insert(
    connection: &mut SqliteConnection,
    key: &CacheKey,
    job: &JobId,
    images: u32,
    now: SystemTime,
    most: u32,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO cache_entries (key, job_id, images, used) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE \
               SET job_id = excluded.job_id, images = excluded.images, used = excluded.used";
    let query = sqlx::query(sql).bind(key.0.as_str()).bind(job.0.as_str()).bind(images).bind(milliseconds(now));
    query.execute(&mut *connection).await?;
    let sql = "DELETE FROM cache_entries WHERE key IN \
               (SELECT key FROM cache_entries ORDER BY used DESC, key LIMIT -1 OFFSET ?)";
    sqlx::query(sql).bind(most).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::testing::{images, params, store};
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_changes_with_everything_that_a_picture_depends_on() {
        let weights = vec!["model".to_owned()];
        let key = CacheKey::new(&params("a tent", 1), &weights);
        assert_eq!(key.to_string().len(), 64);
        assert_eq!(key, CacheKey::new(&params("a tent", 1), &weights));
        let others = [
            CacheKey::new(&params("a tent", 2), &weights),
            CacheKey::new(&params("a tree", 1), &weights),
            CacheKey::new(&Params { steps: 5, ..params("a tent", 1) }, &weights),
            CacheKey::new(&params("a tent", 1), &["other".to_owned()]),
            CacheKey::new(&params("a tent", 1), &["model".to_owned(), "lora".to_owned()]),
        ];
        assert!(others.iter().all(|other| *other != key));
    }

    #[tokio::test]
    async fn an_answer_is_given_again_until_a_picture_of_it_is_deleted() {
        let images = images("cache").await;
        let (job, params) = (JobId("first".to_owned()), params("a tent", 1));
        let key = CacheKey::new(&params, &[]);
        let id = store(&images, &params, Some(&job), at(1)).await;
        let ask = || {
            let (pool, key) = (images.reader().clone(), key.clone());
            async move {
                let mut connection = pool.acquire().await.expect("a connection");
                lookup(&mut connection, &key).await.expect("an answer")
            }
        };
        assert_eq!(ask().await, None);
        let mut connection = images.reader().acquire().await.expect("a connection");
        insert(&mut connection, &key, &job, 1, at(2)).await.expect("is kept");
        drop(connection);
        let hit = ask().await.expect("a hit");
        assert_eq!((hit.job, &hit.images[0].image.id), (job.clone(), &id));
        images.remove(&id).await.expect("is removed");
        assert_eq!(ask().await, None);
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM cache_entries").fetch_one(images.reader()).await.expect("a count");
        assert_eq!(left, 0);
    }

    #[tokio::test]
    async fn an_answer_that_lost_a_picture_is_none() {
        let images = images("cache-half").await;
        let (job, params) = (JobId("two".to_owned()), params("a tent", 1));
        store(&images, &params, Some(&job), at(1)).await;
        let mut connection = images.reader().acquire().await.expect("a connection");
        let key = CacheKey::new(&params, &[]);
        insert(&mut connection, &key, &job, 2, at(2)).await.expect("is kept");
        assert_eq!(lookup(&mut connection, &key).await.expect("an answer"), None);
    }

    #[tokio::test]
    async fn what_nobody_asks_for_goes_first() {
        let images = images("cache-bound").await;
        let mut connection = images.reader().acquire().await.expect("a connection");
        let keys: Vec<_> = (0..5).map(|seed| CacheKey::new(&params("a tent", seed), &[])).collect();
        let job = JobId("one".to_owned());
        for (second, key) in (0..).zip(&keys[..4]) {
            bounded_insert(&mut connection, key, &job, 1, at(second), 4).await.expect("is kept");
        }
        bounded_insert(&mut connection, &keys[0], &job, 1, at(10), 4).await.expect("is young again");
        bounded_insert(&mut connection, &keys[4], &job, 1, at(11), 4).await.expect("is kept");
        let sql = "SELECT key FROM cache_entries ORDER BY used";
        let kept: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *connection).await.expect("a list");
        assert_eq!(kept, [2, 3, 0, 4].map(|index: usize| keys[index].0.clone()));
    }
}

//! What is kept and what goes: deletion on a user's word, retention by age and size, files that nothing refers to.

use super::{BlobHash, ImageError, Images, StorageError, milliseconds, moves, time};
use fresco_api::ImageId;
use sqlx::Row;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// So often is looked for what may go.
const BEAT: Duration = Duration::from_secs(10 * 60);
/// Every so many times the whole folder is looked through for files that nothing refers to.
const COLLECT_EVERY: u32 = 36;
/// A file that nothing refers to may be a job's that has not begun to be written down: it stays for so long.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3_600);
/// So many pictures go in one round.
const BATCH: i64 = 100;

/// How long and how much pictures are kept; favourites always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Older pictures go.
    pub age: Option<Duration>,
    /// When all files together have more bytes, the oldest go.
    pub bytes: Option<u64>,
}

/// A picture that is gone, and the file that it had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removed {
    hash: BlobHash,
    created: SystemTime,
    /// Whether nothing refers to the file any more.
    last: bool,
}

/// Removes a picture and what was answered from it, and notes that its file is to go when nothing else has it.
pub(super) async fn remove(images: &Images, id: &ImageId) -> Result<Removed, ImageError> {
    let mut transaction = images.writer.begin_with("BEGIN IMMEDIATE").await?;
    let sql = "DELETE FROM images WHERE id = ? RETURNING hash, job_id, created";
    let row = sqlx::query(sql).bind(id.0.as_str()).fetch_optional(&mut *transaction).await?;
    let row = row.ok_or(ImageError::Unknown)?;
    let (hash, created): (String, i64) = (row.try_get("hash")?, row.try_get("created")?);
    let clear = sqlx::query("DELETE FROM image_tags WHERE image_id = ?").bind(id.0.as_str());
    clear.execute(&mut *transaction).await?;
    if let Some(job) = row.try_get::<Option<String>, _>("job_id")? {
        let entries = sqlx::query("DELETE FROM cache_entries WHERE job_id = ?").bind(job.clone());
        entries.execute(&mut *transaction).await?;
    }
    // Jobs stay, without this picture: the one that made it, and those that were answered with it.
    let outputs = sqlx::query("DELETE FROM job_outputs WHERE hash = ? AND image = ?");
    outputs.bind(hash.clone()).bind(id.0.as_str()).execute(&mut *transaction).await?;
    let hash: BlobHash = hash.parse().map_err(|error: super::hash::NoHash| sqlx::Error::Decode(Box::new(error)))?;
    let referenced = moves::is_referenced(&mut transaction, &hash).await?;
    if !referenced {
        // Written down with the rest: a crash before the files are gone does not leave them behind.
        moves::want(&mut transaction, &hash, moves::Wanted::Delete).await?;
    }
    transaction.commit().await?;
    // SQL has the time without the parts of a millisecond.
    Ok(Removed { hash, created: time(created.saturating_add(1)), last: !referenced })
}

/// Removes the file of a picture that is gone, if it was the last that had it. What cannot be removed now is noted, and
/// is tried again.
pub(super) async fn clear(images: &Images, Removed { hash, created, last }: Removed) -> Result<(), ImageError> {
    if !last {
        return Ok(());
    }
    // Its file was put before it was finished.
    images.blobs.settle(&hash, created);
    match moves::delete(images, &hash).await {
        Ok(true) => moves::done(images, &hash, moves::Wanted::Delete).await?,
        Ok(false) => {}
        Err(error) => tracing::warn!("a file is still to be removed: {error}"),
    }
    Ok(())
}

/// Keeps to the retention until `stopping` fires.
pub(super) async fn work(images: Images, retention: Retention, stopping: CancellationToken) {
    for round in 0u32.. {
        let now = SystemTime::now();
        match retain(&images, retention, now).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!("{gone} pictures went, as the retention says"),
            Err(error) => tracing::error!("the retention cannot be kept to: {error}"),
        }
        if round % COLLECT_EVERY == 0
            && let Err(error) = collect(&images, now).await
        {
            tracing::error!("files that nothing refers to cannot be found: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// Removes what is too old or too much; how many pictures went.
pub(super) async fn retain(images: &Images, retention: Retention, now: SystemTime) -> Result<u64, ImageError> {
    let mut gone = 0;
    if let Some(age) = retention.age {
        let before = milliseconds(now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH));
        let sql = "SELECT id FROM images WHERE favourite = 0 AND created < ? ORDER BY created LIMIT ?";
        loop {
            let old: Vec<String> = sqlx::query_scalar(sql).bind(before).bind(BATCH).fetch_all(&images.reader).await?;
            if old.is_empty() {
                break;
            }
            gone += remove_all(images, old).await?;
        }
    }
    if let Some(most) = retention.bytes {
        gone += shrink(images, most).await?;
    }
    Ok(gone)
}

/// Removes the oldest pictures until the files have at most so many bytes, or only favourites are left.
async fn shrink(images: &Images, most: u64) -> Result<u64, ImageError> {
    let mut gone = 0;
    loop {
        // A file that several pictures share is there once.
        let sql = "SELECT coalesce(sum(bytes), 0) FROM (SELECT bytes FROM images GROUP BY hash)";
        let bytes: i64 = sqlx::query_scalar(sql).fetch_one(&images.reader).await?;
        let mut over = bytes.unsigned_abs().saturating_sub(most);
        if over == 0 {
            return Ok(gone);
        }
        let sql = "SELECT id, bytes FROM images WHERE favourite = 0 ORDER BY created, id LIMIT ?";
        let oldest = sqlx::query(sql).bind(BATCH).fetch_all(&images.reader).await?;
        let mut ids = Vec::new();
        for row in oldest {
            if over == 0 {
                break;
            }
            let length: i64 = row.try_get("bytes")?;
            over = over.saturating_sub(length.unsigned_abs());
            ids.push(row.try_get("id")?);
        }
        if ids.is_empty() {
            return Ok(gone);
        }
        gone += remove_all(images, ids).await?;
    }
}

async fn remove_all(images: &Images, ids: Vec<String>) -> Result<u64, ImageError> {
    let mut gone = 0;
    for id in ids {
        match images.remove(&ImageId(id)).await {
            Ok(()) => gone += 1,
            // Somebody else was quicker.
            Err(ImageError::Unknown) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(gone)
}

/// Notes the files on the disk that nothing refers to, and that are old enough, to be removed.
pub(super) async fn collect(images: &Images, now: SystemTime) -> Result<(), StorageError> {
    let old = now.checked_sub(ORPHAN_AGE).unwrap_or(SystemTime::UNIX_EPOCH);
    for (hash, written) in images.blobs.list().await? {
        if written > old {
            continue;
        }
        // Nearly every file has a reference, and whoever writes is not to wait for those that do.
        let mut connection = images.reader.acquire().await?;
        let referenced = moves::is_referenced(&mut connection, &hash).await?;
        drop(connection);
        if referenced {
            continue;
        }
        let mut transaction = images.writer.begin_with("BEGIN IMMEDIATE").await?;
        if !moves::is_referenced(&mut transaction, &hash).await? {
            moves::want(&mut transaction, &hash, moves::Wanted::Delete).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

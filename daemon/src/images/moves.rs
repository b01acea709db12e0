//! What has yet to happen to files: uploads to the bucket and deletions, kept in SQL until they have happened.

use super::{BlobHash, Blobs, Images, StorageError, milliseconds};
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// So many are looked at in a round.
const BATCH: i64 = 32;
/// A move that failed is tried again after so long, twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// Without being woken, the mover looks so often.
const BEAT: Duration = Duration::from_secs(2);

/// What is to happen to a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The bucket gets it, and the disk's copy goes.
    Upload,
    /// It goes for good, unless something refers to it by then.
    Delete,
}

impl Wanted {
    fn name(self) -> &'static str {
        match self {
            Wanted::Upload => "upload",
            Wanted::Delete => "delete",
        }
    }
}

/// Notes what is to happen to a blob, instead of what was noted before.
pub(super) async fn want(
    connection: &mut SqliteConnection,
    hash: &BlobHash,
    wanted: Wanted,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO blob_moves (hash, wanted, attempts, due) VALUES (?, ?, 0, 0) \
               ON CONFLICT (hash) DO UPDATE SET wanted = excluded.wanted, attempts = 0, due = 0";
    sqlx::query(sql).bind(hash.to_string()).bind(wanted.name()).execute(connection).await?;
    Ok(())
}

/// How many blobs wait to be uploaded: those that only this machine has.
pub(super) async fn waiting(reader: &SqlitePool) -> Result<u64, sqlx::Error> {
    let sql = "SELECT count(*) FROM blob_moves WHERE wanted = 'upload'";
    let count: i64 = sqlx::query_scalar(sql).fetch_one(reader).await?;
    Ok(count.unsigned_abs())
}

/// Whether anything refers to a blob: a stored picture, or a job by what it starts from or made.
pub(super) async fn is_referenced(connection: &mut SqliteConnection, hash: &BlobHash) -> Result<bool, sqlx::Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM images WHERE hash = ?1) OR EXISTS (SELECT 1 FROM job_inputs WHERE hash = ?1) \
               OR EXISTS (SELECT 1 FROM job_outputs WHERE hash = ?1)";
    sqlx::query_scalar(sql).bind(hash.to_string()).fetch_one(connection).await
}

/// Moves blobs until `stopping` fires.
pub(super) async fn work(images: Images, stopping: CancellationToken) {
    if let Err(error) = take_stock(&images).await {
        tracing::error!("the files that wait for their storage cannot be counted: {error}");
    }
    while !stopping.is_cancelled() {
        let moved = tokio::select! {
            moved = round(&images, SystemTime::now()) => moved,
            () = stopping.cancelled() => return,
        };
        match moved {
            // There may be more.
            Ok(moved) if moved > 0 => continue,
            Ok(_) => {}
            Err(error) => tracing::error!("files cannot be moved: {error}"),
        }
        tokio::select! {
            () = images.blobs.woken() => {}
            () = tokio::time::sleep(BEAT) => {}
            () = stopping.cancelled() => {}
        }
    }
}

/// With a bucket, every blob on the disk is one that the bucket does not have, as far as anybody knows: a crash may
/// have come between the disk and the note, or the bucket is new.
async fn take_stock(images: &Images) -> Result<(), StorageError> {
    if images.blobs.bucket().is_none() {
        return Ok(());
    }
    let sql = "INSERT INTO blob_moves (hash, wanted, due) VALUES (?, 'upload', 0) ON CONFLICT (hash) DO NOTHING";
    for (hash, _) in images.blobs.list().await? {
        sqlx::query(sql).bind(hash.to_string()).execute(&images.writer).await?;
    }
    Ok(())
}

/// Tries the moves that are due; how many came to something.
async fn round(images: &Images, now: SystemTime) -> Result<u64, StorageError> {
    let sql = "SELECT hash, wanted, attempts FROM blob_moves WHERE due <= ? ORDER BY due LIMIT ?";
    let due = sqlx::query(sql).bind(milliseconds(now)).bind(BATCH).fetch_all(&images.reader).await?;
    let mut moved = 0;
    for row in due {
        let Move { hash, wanted, attempts } = read(&row)?;
        let outcome = match wanted {
            Wanted::Upload => upload(&images.blobs, &hash).await.map(|()| true),
            Wanted::Delete => delete(images, &hash).await,
        };
        match outcome {
            Ok(true) => {
                moved += 1;
                done(images, &hash, wanted).await?;
            }
            Ok(false) => later(images, &hash, wanted, attempts).await?,
            Err(error) => {
                tracing::warn!("the storage did not do what was asked, which is tried again: {error}");
                later(images, &hash, wanted, attempts).await?;
            }
        }
    }
    Ok(moved)
}

async fn upload(blobs: &Blobs, hash: &BlobHash) -> Result<(), StorageError> {
    // Without a bucket there is nothing to tell it.
    let Some(bucket) = blobs.bucket() else { return Ok(()) };
    match blobs.on_disk(hash).await? {
        Some(bytes) if BlobHash::of(&bytes) == *hash => bucket.remote.write(hash, bytes).await,
        Some(_) => Err(StorageError::Damaged(*hash)),
        // It was uploaded before, and put again at the same moment.
        None if bucket.remote.contains(hash).await? => Ok(()),
        None => Err(StorageError::Missing(*hash)),
    }
}

/// Removes a blob and what was made of it; whether nothing is left to do.
pub(super) async fn delete(images: &Images, hash: &BlobHash) -> Result<bool, StorageError> {
    let mut connection = images.reader.acquire().await?;
    if is_referenced(&mut connection, hash).await? {
        return Ok(true);
    }
    drop(connection);
    images.thumbnails.remove(hash).await?;
    images.blobs.delete(hash).await
}

/// Crosses a move off, unless something else is wanted by now.
pub(super) async fn done(images: &Images, hash: &BlobHash, wanted: Wanted) -> Result<(), StorageError> {
    let sql = "DELETE FROM blob_moves WHERE hash = ? AND wanted = ?";
    let crossed = sqlx::query(sql).bind(hash.to_string()).bind(wanted.name()).execute(&images.writer).await?;
    // The bucket has it now: should somebody put it again at this moment, nothing is lost.
    if wanted == Wanted::Upload && crossed.rows_affected() == 1 && images.blobs.bucket().is_some() {
        images.blobs.drop_from_disk(hash).await?;
    }
    Ok(())
}

async fn later(images: &Images, hash: &BlobHash, wanted: Wanted, attempts: u32) -> Result<(), StorageError> {
    let pause = FIRST_PAUSE.saturating_mul(1u32 << attempts.min(16)).min(LONGEST_PAUSE);
    let sql = "UPDATE blob_moves SET attempts = attempts + 1, due = ? WHERE hash = ? AND wanted = ?";
    let query = sqlx::query(sql).bind(milliseconds(SystemTime::now() + pause)).bind(hash.to_string());
    query.bind(wanted.name()).execute(&images.writer).await?;
    Ok(())
}

struct Move {
    hash: BlobHash,
    wanted: Wanted,
    attempts: u32,
}

fn read(row: &SqliteRow) -> Result<Move, sqlx::Error> {
    let hash: String = row.try_get("hash")?;
    let wanted: String = row.try_get("wanted")?;
    let wanted = if wanted == "delete" { Wanted::Delete } else { Wanted::Upload };
    let hash = hash.parse().map_err(|error: super::hash::NoHash| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Move { hash, wanted, attempts: row.try_get("attempts")? })
}

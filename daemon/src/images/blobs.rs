//! Files by the hash of what is in them: on the disk first, and behind it, when one is configured, in a bucket.
//!
//! A blob that was put is on this machine's disk when the call returns, whatever the bucket does. What the bucket still
//! has to be told is in SQL, and [`super::moves`] tells it until it has listened. A blob lies on the disk until the
//! bucket has it, and is fetched from there afterwards.

use super::{BlobHash, S3, StorageError, disk::Disk, moves, remote::Remote};
use sqlx::SqlitePool;
use std::{
    collections::HashMap,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::sync::Notify;
use tokio_util::bytes::Bytes;

/// A blob that was put just now may be about to get its first reference: it is not removed for so long.
const FRESH: Duration = Duration::from_secs(60);

/// The blobs; clones are the same.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    disk: Disk,
    bucket: Option<Bucket>,
    /// When blobs were put, as far as that is not long ago. Held while a blob is removed, so that none is taken away
    /// from whoever has just found it to be there.
    put: Mutex<HashMap<BlobHash, SystemTime>>,
    /// Wakes whoever moves blobs.
    wake: Notify,
}

/// What lies behind the disk.
pub(super) struct Bucket {
    pub remote: Remote,
    pub writer: SqlitePool,
}

impl Blobs {
    /// Blobs in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        Self::made(folder, None)
    }

    /// Blobs in a bucket, by way of a folder. `writer` has the table of what is still to be moved.
    ///
    /// # Errors
    /// When the folder cannot be made or the settings make no sense. The bucket is not asked.
    pub fn in_bucket(folder: &Path, s3: &S3, writer: SqlitePool) -> Result<Self, StorageError> {
        Self::made(folder, Some(Bucket { remote: Remote::new(s3)?, writer }))
    }

    fn made(folder: &Path, bucket: Option<Bucket>) -> Result<Self, StorageError> {
        let disk = Disk::open(folder)?;
        Ok(Self(Arc::new(Inner { disk, bucket, put: Mutex::default(), wake: Notify::new() })))
    }

    /// Removes what a crash left half written. Nobody may be writing.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn sweep(&self) -> Result<(), StorageError> {
        Ok(self.0.disk.sweep()?)
    }

    /// Keeps a blob; a power cut does not undo it once this has returned. Putting it again changes nothing.
    ///
    /// # Errors
    /// When the disk does not take it. A bucket out of reach is no error.
    pub async fn put(&self, bytes: Bytes) -> Result<BlobHash, StorageError> {
        let inner = self.0.clone();
        let hash = blocking(move || {
            let hash = BlobHash::of(&bytes);
            // Before the disk is asked: whoever collects must not take away what is found to be there.
            inner.mark(hash);
            inner.disk.write(&hash, &bytes)?;
            Ok(hash)
        })
        .await?;
        if let Some(bucket) = &self.0.bucket {
            let mut connection = bucket.writer.acquire().await?;
            moves::want(&mut connection, &hash, moves::Wanted::Upload).await?;
            drop(connection);
            self.0.wake.notify_one();
        }
        Ok(hash)
    }

    /// All of a blob, compared with its hash.
    ///
    /// # Errors
    /// When it is nowhere, is damaged, or is in a bucket out of reach.
    pub async fn get(&self, hash: &BlobHash) -> Result<Bytes, StorageError> {
        let (inner, hash) = (self.0.clone(), *hash);
        let local = blocking(move || {
            let Some(bytes) = inner.disk.read(&hash)? else { return Ok(None) };
            Ok(Some((BlobHash::of(&bytes) == hash, Bytes::from(bytes))))
        })
        .await?;
        match (local, &self.0.bucket) {
            (Some((true, bytes)), _) => Ok(bytes),
            // The bucket may have a whole one.
            (_, Some(bucket)) => {
                let bytes = bucket.remote.read(&hash).await?.ok_or(StorageError::Missing(hash))?;
                if BlobHash::of(&bytes) == hash { Ok(bytes) } else { Err(StorageError::Damaged(hash)) }
            }
            (Some((false, _)), None) => Err(StorageError::Damaged(hash)),
            (None, None) => Err(StorageError::Missing(hash)),
        }
    }

    /// A part of a blob, as far as the blob goes. Not compared with its hash.
    ///
    /// # Errors
    /// When it is nowhere, or in a bucket out of reach.
    pub async fn get_range(&self, hash: &BlobHash, range: Range<u64>) -> Result<Bytes, StorageError> {
        let (inner, hash, part) = (self.0.clone(), *hash, range.clone());
        let local = blocking(move || Ok(inner.disk.read_range(&hash, part)?)).await?;
        match (local, &self.0.bucket) {
            (Some(bytes), _) => Ok(bytes.into()),
            (None, Some(bucket)) => bucket.remote.read_range(&hash, range).await?.ok_or(StorageError::Missing(hash)),
            (None, None) => Err(StorageError::Missing(hash)),
        }
    }

    /// Whether there is such a blob.
    ///
    /// # Errors
    /// When it is not on the disk and the bucket is out of reach.
    pub async fn exists(&self, hash: &BlobHash) -> Result<bool, StorageError> {
        let (inner, hash) = (self.0.clone(), *hash);
        let local = blocking(move || Ok(inner.disk.contains(&hash))).await?;
        match &self.0.bucket {
            Some(bucket) if !local => bucket.remote.contains(&hash).await,
            _ => Ok(local),
        }
    }

    /// Keeps a blob that is there from being removed until its new reference is written; whether it is there.
    ///
    /// # Errors
    /// As [`Blobs::exists`].
    pub async fn hold(&self, hash: &BlobHash) -> Result<bool, StorageError> {
        self.0.mark(*hash);
        self.exists(hash).await
    }

    /// Removes a blob from disk and bucket, unless it was put just now; whether it is gone. Whether anything refers to
    /// it is the caller's to know.
    ///
    /// # Errors
    /// When the disk refuses or the bucket is out of reach; it may be gone from the disk then.
    pub async fn delete(&self, hash: &BlobHash) -> Result<bool, StorageError> {
        let (inner, removed) = (self.0.clone(), *hash);
        if !blocking(move || inner.remove(&removed)).await? {
            return Ok(false);
        }
        if let Some(bucket) = &self.0.bucket {
            bucket.remote.remove(hash).await?;
        }
        Ok(true)
    }

    /// An address at the bucket by which anybody can read a blob for a while; none when there is no bucket or it does
    /// not have the blob yet.
    ///
    /// # Errors
    /// When the address cannot be made.
    pub async fn signed_url(&self, hash: &BlobHash, lifetime: Duration) -> Result<Option<String>, StorageError> {
        let Some(bucket) = &self.0.bucket else { return Ok(None) };
        let (inner, here) = (self.0.clone(), *hash);
        if blocking(move || Ok(inner.disk.contains(&here))).await? {
            return Ok(None);
        }
        bucket.remote.signed_url(hash, lifetime).await.map(Some)
    }

    /// Says that whoever put a blob before `settled` has written its reference, or never will.
    pub(super) fn settle(&self, hash: &BlobHash, settled: SystemTime) {
        let mut put = self.0.put();
        if put.get(hash).is_some_and(|at| *at <= settled) {
            put.remove(hash);
        }
    }

    /// Every blob on the disk with the time it was written.
    pub(super) async fn list(&self) -> Result<Vec<(BlobHash, SystemTime)>, StorageError> {
        let inner = self.0.clone();
        blocking(move || Ok(inner.disk.list()?)).await
    }

    /// What lies behind the disk, if anything does.
    pub(super) fn bucket(&self) -> Option<&Bucket> {
        self.0.bucket.as_ref()
    }

    /// Comes when there may be something to move.
    pub(super) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// A blob's bytes from the disk alone.
    pub(super) async fn on_disk(&self, hash: &BlobHash) -> Result<Option<Bytes>, StorageError> {
        let (inner, hash) = (self.0.clone(), *hash);
        blocking(move || Ok(inner.disk.read(&hash)?.map(Bytes::from))).await
    }

    /// Removes a blob from the disk alone: the bucket has it.
    pub(super) async fn drop_from_disk(&self, hash: &BlobHash) -> Result<(), StorageError> {
        let (inner, hash) = (self.0.clone(), *hash);
        blocking(move || Ok(inner.disk.remove(&hash)?)).await?;
        Ok(())
    }
}

impl Inner {
    fn put(&self) -> MutexGuard<'_, HashMap<BlobHash, SystemTime>> {
        self.put.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, hash: BlobHash) {
        let mut put = self.put();
        put.retain(|_, at| is_fresh(*at));
        put.insert(hash, SystemTime::now());
    }

    /// Removes a blob from the disk, unless it was put just now.
    fn remove(&self, hash: &BlobHash) -> Result<bool, StorageError> {
        let put = self.put();
        if put.get(hash).is_some_and(|at| is_fresh(*at)) {
            return Ok(false);
        }
        self.disk.remove(hash)?;
        drop(put);
        Ok(true)
    }
}

/// Whether a blob that was put then may still be without its first reference. A clock that was set back makes none old.
fn is_fresh(at: SystemTime) -> bool {
    at.elapsed().map_or(true, |age| age < FRESH)
}

/// Work that waits for a disk, where nothing asynchronous waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StorageError::Disk(std::io::Error::other("the disk's thread broke down"))))
}

#[cfg(test)]
mod tests;

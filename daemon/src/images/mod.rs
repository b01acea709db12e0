//! Finished pictures: their files, what is known about them, and how they are found again.
//!
//! [`Blobs`] has the files by hash, [`history`] the rows about them, [`search`] finds rows, [`cache`] answers what was
//! asked before, [`render`] makes other sizes and formats, [`metadata`] reads and writes what a file says about itself,
//! [`keep`] removes. [`Images`] ties them together.

mod blobs;
pub mod cache;
mod disk;
pub mod export;
mod hash;
pub mod history;
mod keep;
pub mod metadata;
mod moves;
pub mod question;
mod remote;
pub mod render;
pub mod search;
#[cfg(test)]
mod testing;

pub use blobs::Blobs;
pub use hash::BlobHash;
pub use history::{NewImage, Stored};
pub use keep::Retention;
pub use remote::S3;

use fresco_api::{ApiError, ErrorCode, ImageChange, ImageId, StoredImage};
use render::{Rendition, Thumbnails};
use sqlx::SqlitePool;
use std::{
    ops::Range,
    path::Path,
    time::{Duration, SystemTime},
};
use tokio_util::{bytes::Bytes, sync::CancellationToken};

/// The most tags of a picture, and the longest tag in characters.
pub const MOST_TAGS: usize = 50;
const LONGEST_TAG: usize = 60;

/// A file could not be kept, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It is nowhere.
    #[error("there is no blob {0}")]
    Missing(BlobHash),
    /// Its bytes are not those that were put.
    #[error("the blob {0} is damaged")]
    Damaged(BlobHash),
    /// The disk refuses.
    #[error("the disk: {0}")]
    Disk(#[from] std::io::Error),
    /// The bucket is out of reach, or refuses.
    #[error("the bucket: {0}")]
    Remote(String),
    /// The database refuses.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Why nothing came of a wish about pictures.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// There is no such picture.
    #[error("There is no such picture")]
    Unknown,
    /// A change that cannot be made; the field is named.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// Its file.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The rows about it.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// Its file cannot be made into another.
    #[error("The picture cannot be read: {0}")]
    Render(#[from] render::RenderError),
}

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Unknown => ApiError::new(ErrorCode::NotFound, "There is no such picture"),
            ImageError::Refused(error) => error,
            ImageError::Storage(StorageError::Remote(_)) => {
                ApiError::new(ErrorCode::Busy, "The storage is out of reach. Try again later")
            }
            ImageError::Storage(StorageError::Missing(_)) => {
                ApiError::new(ErrorCode::NotFound, "The picture's file is gone")
            }
            // Paths and addresses are for the log.
            other => {
                tracing::error!("{other}");
                ApiError::new(ErrorCode::Internal, "The picture cannot be read or changed")
            }
        }
    }
}

/// How much is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pictures.
    pub images: u64,
    /// Bytes of their files; a file that several share counts for each.
    pub bytes: u64,
    /// Files that only this machine has, because the bucket has not listened yet.
    pub waiting_uploads: u64,
}

/// The pictures; clones are the same.
#[derive(Clone)]
pub struct Images {
    blobs: Blobs,
    reader: SqlitePool,
    writer: SqlitePool,
    thumbnails: Thumbnails,
}

impl Images {
    /// The pictures of a data folder. Both pools are of its database, with every migration applied; without `s3` the
    /// files lie in the folder.
    ///
    /// # Errors
    /// When the folder cannot be made or the bucket's settings make no sense.
    pub fn open(home: &Path, s3: Option<&S3>, reader: SqlitePool, writer: SqlitePool) -> Result<Self, StorageError> {
        let folder = home.join("blobs");
        let blobs = match s3 {
            None => Blobs::open(&folder)?,
            Some(s3) => Blobs::in_bucket(&folder, s3, writer.clone())?,
        };
        let thumbnails = Thumbnails::new(home.join("thumbnails"));
        Ok(Self { blobs, reader, writer, thumbnails })
    }

    /// The files alone.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The pool to read with.
    pub fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// Moves files to the bucket and keeps to the retention until `stopping` fires.
    pub async fn work(self, retention: Retention, stopping: CancellationToken) {
        tokio::join!(moves::work(self.clone(), stopping.clone()), keep::work(self, retention, stopping));
    }

    /// How much is stored.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn totals(&self) -> Result<Totals, ImageError> {
        let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM images";
        let (images, bytes): (i64, i64) = sqlx::query_as(sql).fetch_one(&self.reader).await?;
        let waiting_uploads = self.waiting_uploads().await?;
        Ok(Totals { images: images.unsigned_abs(), bytes: bytes.unsigned_abs(), waiting_uploads })
    }

    /// Files that only this machine has, because the bucket has not listened yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_uploads(&self) -> Result<u64, sqlx::Error> {
        moves::waiting(&self.reader).await
    }

    /// What is known about a picture.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn find(&self, id: &ImageId) -> Result<Stored, ImageError> {
        history::find(&self.reader, id).await?.ok_or(ImageError::Unknown)
    }

    /// A page of the pictures that are looked for, the newest first, and the cursor of the next page.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        search: &search::Search,
        cursor: Option<&ImageId>,
        limit: usize,
    ) -> Result<(Vec<Stored>, Option<ImageId>), ImageError> {
        Ok(search.page(&self.reader, cursor, limit).await?)
    }

    /// A picture's file as it is stored.
    ///
    /// # Errors
    /// When it is missing, damaged or out of reach.
    pub async fn file(&self, stored: &Stored) -> Result<Bytes, ImageError> {
        Ok(self.blobs.get(&stored.hash).await?)
    }

    /// A part of a picture's file.
    ///
    /// # Errors
    /// When it is missing or out of reach.
    pub async fn file_range(&self, stored: &Stored, range: Range<u64>) -> Result<Bytes, ImageError> {
        Ok(self.blobs.get_range(&stored.hash, range).await?)
    }

    /// A picture in another size or format.
    ///
    /// # Errors
    /// When its file is missing, damaged or out of reach.
    pub async fn rendered(&self, stored: &Stored, rendition: Rendition) -> Result<Bytes, ImageError> {
        if let Some(kept) = self.thumbnails.find(&stored.hash, rendition).await {
            return Ok(kept);
        }
        let made = render::render(self.file(stored).await?, rendition).await?;
        // It may have been deleted meanwhile, and its small pictures with it.
        if self.find(&stored.image.id).await.is_ok() {
            self.thumbnails.keep(&stored.hash, rendition, made.clone()).await;
        }
        Ok(made)
    }

    /// An address at the bucket, if there is one that has the file.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub async fn signed_url(&self, stored: &Stored, lifetime: Duration) -> Result<Option<String>, ImageError> {
        Ok(self.blobs.signed_url(&stored.hash, lifetime).await?)
    }

    /// Changes what is known about a picture; as it is afterwards.
    ///
    /// # Errors
    /// When there is none of that name, or a tag cannot be one.
    pub async fn change(&self, id: &ImageId, change: ImageChange) -> Result<StoredImage, ImageError> {
        let tags = change.tags.map(clean_tags).transpose()?;
        let (images, id) = (self.clone(), id.clone());
        to_the_end(async move {
            let mut transaction = images.writer.begin_with("BEGIN IMMEDIATE").await?;
            if !history::change(&mut transaction, &id, change.favourite, tags.as_deref()).await? {
                return Err(ImageError::Unknown);
            }
            transaction.commit().await?;
            Ok(images.find(&id).await?.image)
        })
        .await
    }

    /// Removes a picture: its row, its tags, what was answered from it, and with its last reference its files.
    ///
    /// # Errors
    /// When there is none of that name, or disk or database refuse.
    pub async fn remove(&self, id: &ImageId) -> Result<(), ImageError> {
        let (images, id) = (self.clone(), id.clone());
        to_the_end(async move {
            let removed = keep::remove(&images, &id).await?;
            keep::clear(&images, removed).await
        })
        .await
    }

    /// The same while another program serves these pictures: only that one knows which files are about to be referred
    /// to, so it is left to remove them.
    ///
    /// # Errors
    /// When there is none of that name, or the database refuses.
    pub async fn remove_row(&self, id: &ImageId) -> Result<(), ImageError> {
        keep::remove(self, id).await.map(|_| ())
    }

    /// Removes what a crash left half written. Only for the one program that serves the pictures: it cannot tell what
    /// another one is writing.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn sweep(&self) -> Result<(), StorageError> {
        self.thumbnails.sweep();
        self.blobs.sweep()
    }
}

/// Work of several steps that is not cut short by a client that goes away.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ImageError>> + Send + 'static,
) -> Result<T, ImageError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(StorageError::Disk(std::io::Error::other("the work broke down")).into()))
}

/// Tags without blanks around them, in order, each once.
fn clean_tags(tags: Vec<String>) -> Result<Vec<String>, ApiError> {
    let mut clean: Vec<String> = tags.iter().map(|tag| tag.trim().to_owned()).collect();
    clean.sort();
    clean.dedup();
    if clean.len() > MOST_TAGS {
        return Err(ApiError::field("tags", format!("A picture has at most {MOST_TAGS} tags")));
    }
    let wrong = |tag: &String| tag.is_empty() || tag.chars().count() > LONGEST_TAG || tag.chars().any(char::is_control);
    match clean.iter().any(wrong) {
        true => Err(ApiError::field("tags", format!("A tag has 1 to {LONGEST_TAG} characters"))),
        false => Ok(clean),
    }
}

/// A time as SQL has it: milliseconds since 1970.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time that SQL has.
pub(crate) fn time(milliseconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds.clamp(0, 253_402_300_799_999).unsigned_abs())
}

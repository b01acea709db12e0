//! The rows about pictures: written when a job finishes, read, changed.

use super::{BlobHash, milliseconds, time};
use crate::clock::rfc3339;
use fresco_api::{ImageFormat, ImageId, JobId, Params, StoredImage, routes};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use std::time::SystemTime;
use uuid::Uuid;

/// A finished picture whose file is stored already.
#[derive(Clone, Debug, PartialEq)]
pub struct NewImage {
    /// Its name; see [`new_id`].
    pub id: ImageId,
    /// The job that made it.
    pub job: Option<JobId>,
    /// Which of the job's pictures it is, from 0.
    pub position: u32,
    /// Where its file is.
    pub hash: BlobHash,
    /// The file's format.
    pub format: ImageFormat,
    /// The file's length.
    pub bytes: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// When it was finished.
    pub created: SystemTime,
    /// Whose it is; empty where there are no accounts.
    pub owner: String,
    /// How it was made.
    pub params: Params,
}

/// A picture as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Where its file is.
    pub hash: BlobHash,
    /// Whose it is.
    pub owner: String,
    /// What everybody may know.
    pub image: StoredImage,
}

/// A name for a new picture; later names sort after earlier ones.
pub fn new_id() -> ImageId {
    ImageId(Uuid::now_v7().to_string())
}

/// Writes a picture down. Belongs into the transaction that makes its job final.
///
/// # Errors
/// When the database refuses: also when the job has a picture at this position already.
pub async fn insert(connection: &mut SqliteConnection, image: &NewImage) -> Result<(), sqlx::Error> {
    let parameters = serde_json::to_string(&image.params).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let sql = "INSERT INTO images (id, job_id, position, hash, media_type, bytes, width, height, created, owner, \
               prompt, words, model, seed, parameters) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(image.id.0.as_str())
        .bind(image.job.as_ref().map(|job| job.0.as_str()))
        .bind(image.position)
        .bind(image.hash.to_string())
        .bind(image.format.media_type())
        .bind(i64::try_from(image.bytes).unwrap_or(i64::MAX))
        .bind(image.width)
        .bind(image.height)
        .bind(milliseconds(image.created))
        .bind(image.owner.as_str())
        .bind(image.params.prompt.as_str())
        .bind(image.params.prompt.to_lowercase())
        .bind(image.params.model.0.as_str())
        // All 64 bits are kept; only the sign is read otherwise.
        .bind(image.params.seed.cast_signed())
        .bind(parameters)
        .execute(connection)
        .await?;
    Ok(())
}

/// The picture with a name.
///
/// # Errors
/// When the database fails.
pub async fn find(reader: &SqlitePool, id: &ImageId) -> Result<Option<Stored>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM images WHERE id = ?").bind(id.0.as_str()).fetch_optional(reader).await?;
    let Some(row) = row else { return Ok(None) };
    let mut connection = reader.acquire().await?;
    Ok(with_tags(&mut connection, vec![stored(&row)?]).await?.pop())
}

/// A job's pictures in their order.
///
/// # Errors
/// When the database fails.
pub async fn of_job(connection: &mut SqliteConnection, job: &JobId) -> Result<Vec<Stored>, sqlx::Error> {
    let query = sqlx::query("SELECT * FROM images WHERE job_id = ? ORDER BY position").bind(job.0.as_str());
    let rows = query.fetch_all(&mut *connection).await?;
    with_tags(connection, rows.iter().map(stored).collect::<Result<_, _>>()?).await
}

/// Changes what is known about a picture; whether there is one. Belongs into a transaction.
pub(super) async fn change(
    connection: &mut SqliteConnection,
    id: &ImageId,
    favourite: Option<bool>,
    tags: Option<&[String]>,
) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE images SET favourite = coalesce(?, favourite) WHERE id = ?";
    let changed = sqlx::query(sql).bind(favourite).bind(id.0.as_str()).execute(&mut *connection).await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    let Some(tags) = tags else { return Ok(true) };
    let clear = sqlx::query("DELETE FROM image_tags WHERE image_id = ?").bind(id.0.as_str());
    clear.execute(&mut *connection).await?;
    for tag in tags {
        let query = sqlx::query("INSERT INTO image_tags (image_id, tag) VALUES (?, ?)");
        query.bind(id.0.as_str()).bind(tag.as_str()).execute(&mut *connection).await?;
    }
    Ok(true)
}

/// A row of the table, without its tags.
pub(super) fn stored(row: &SqliteRow) -> Result<Stored, sqlx::Error> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let id = ImageId(row.try_get("id")?);
    let hash: String = row.try_get("hash")?;
    let media_type: String = row.try_get("media_type")?;
    let parameters: String = row.try_get("parameters")?;
    let bytes: i64 = row.try_get("bytes")?;
    let format = ImageFormat::of_media_type(&media_type).ok_or_else(|| decode("an unknown media type".into()))?;
    let image = StoredImage {
        url: routes::image(&id),
        id,
        job_id: row.try_get::<Option<String>, _>("job_id")?.map(JobId),
        position: row.try_get("position")?,
        media_type: format,
        bytes: bytes.unsigned_abs(),
        width: row.try_get("width")?,
        height: row.try_get("height")?,
        created_at: rfc3339(time(row.try_get("created")?)),
        favourite: row.try_get("favourite")?,
        tags: Vec::new(),
        parameters: serde_json::from_str(&parameters).map_err(|error| decode(error.into()))?,
    };
    let hash = hash.parse().map_err(|error: super::hash::NoHash| decode(error.into()))?;
    Ok(Stored { hash, owner: row.try_get("owner")?, image })
}

/// The same pictures with their tags.
pub(super) async fn with_tags(
    connection: &mut SqliteConnection,
    mut pictures: Vec<Stored>,
) -> Result<Vec<Stored>, sqlx::Error> {
    if pictures.is_empty() {
        return Ok(pictures);
    }
    let mut query = QueryBuilder::<Sqlite>::new("SELECT image_id, tag FROM image_tags WHERE image_id IN (");
    let mut names = query.separated(", ");
    for picture in &pictures {
        names.push_bind(picture.image.id.0.clone());
    }
    query.push(") ORDER BY tag");
    for row in query.build().fetch_all(connection).await? {
        let (id, tag): (String, String) = (row.try_get("image_id")?, row.try_get("tag")?);
        if let Some(picture) = pictures.iter_mut().find(|picture| picture.image.id.0 == id) {
            picture.image.tags.push(tag);
        }
    }
    Ok(pictures)
}

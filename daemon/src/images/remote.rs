//! Blobs in a bucket of any store that speaks S3.

use super::{BlobHash, StorageError};
use object_store::{
    Error, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, Checksum},
    path::Path,
    signer::{Method, Signer},
};
use std::{fmt, ops::Range, time::Duration};
use tokio_util::bytes::Bytes;

/// The store's client tries again for so long by itself; uploads are tried again for ever, but later.
const RETRIES: Duration = Duration::from_secs(5);

/// Which bucket, and how to get at it.
#[derive(Clone, PartialEq, Eq)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// What the names of our objects begin with; may be empty.
    pub prefix: String,
    /// The store's address; Amazon's when there is none. `AWS_ENDPOINT_URL` is read too.
    pub endpoint: Option<String>,
    /// Access key and secret key; when there are none, those of the usual `AWS_…` variables.
    pub keys: Option<(String, String)>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys stay out of every log.
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl S3 {
    /// `s3://bucket` or `s3://bucket/prefix`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(url: &str) -> Result<Self, String> {
        let place = url.strip_prefix("s3://").ok_or("a storage is written s3://bucket/prefix")?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_');
        if bucket.is_empty() || !bucket.chars().all(letter) {
            return Err("the bucket of a storage has letters, digits, dots and hyphens".to_owned());
        }
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| format!("the storage's prefix: {error}"))?;
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_string(), endpoint: None, keys: None })
    }
}

/// The bucket. Not printed: the client knows the keys.
pub(super) struct Remote {
    store: AmazonS3,
    prefix: Path,
}

impl Remote {
    /// Makes the client; asks the store nothing yet.
    pub fn new(s3: &S3) -> Result<Self, StorageError> {
        let retries = RetryConfig { max_retries: 2, retry_timeout: RETRIES, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&s3.bucket)
            .with_retry(retries)
            // The store compares what arrives with its hash.
            .with_checksum_algorithm(Checksum::SHA256)
            // Not every store knows how to delete several at once.
            .with_disable_bulk_delete(true);
        let endpoint = s3.endpoint.clone().or_else(|| std::env::var("AWS_ENDPOINT_URL").ok());
        if let Some(endpoint) = endpoint {
            // Whoever writes down an address without TLS means it: a store on the same machine.
            let plain = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint).with_allow_http(plain);
        }
        if let Some((key, secret)) = &s3.keys {
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        }
        let prefix = Path::parse(&s3.prefix).map_err(|error| StorageError::Remote(error.to_string()))?;
        Ok(Self { store: builder.build().map_err(|error| StorageError::Remote(error.to_string()))?, prefix })
    }

    /// Writes a blob; the store has it for good once this has returned.
    pub async fn write(&self, hash: &BlobHash, bytes: Bytes) -> Result<(), StorageError> {
        self.store.put(&self.path(hash), bytes.into()).await.map_err(out_of_reach)?;
        Ok(())
    }

    /// All of a blob, or nothing when it is not there.
    pub async fn read(&self, hash: &BlobHash) -> Result<Option<Bytes>, StorageError> {
        let Some(answer) = found(self.store.get(&self.path(hash)).await)? else { return Ok(None) };
        Ok(Some(answer.bytes().await.map_err(out_of_reach)?))
    }

    /// A part of a blob, or nothing when it is not there.
    pub async fn read_range(&self, hash: &BlobHash, range: Range<u64>) -> Result<Option<Bytes>, StorageError> {
        found(self.store.get_range(&self.path(hash), range).await)
    }

    /// Whether a blob is there.
    pub async fn contains(&self, hash: &BlobHash) -> Result<bool, StorageError> {
        Ok(found(self.store.head(&self.path(hash)).await)?.is_some())
    }

    /// Removes a blob, if there is one.
    pub async fn remove(&self, hash: &BlobHash) -> Result<(), StorageError> {
        found(self.store.delete(&self.path(hash)).await)?;
        Ok(())
    }

    /// An address by which anybody can read a blob for a while.
    pub async fn signed_url(&self, hash: &BlobHash, lifetime: Duration) -> Result<String, StorageError> {
        let url = self.store.signed_url(Method::GET, &self.path(hash), lifetime).await.map_err(out_of_reach)?;
        Ok(url.to_string())
    }

    fn path(&self, hash: &BlobHash) -> Path {
        let name = hash.to_string();
        ["sha256", &name[..2], name.as_str()].into_iter().fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

/// What went wrong, as the store tells it. Its errors name objects and addresses, never keys.
fn out_of_reach(error: Error) -> StorageError {
    StorageError::Remote(error.to_string())
}

fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, StorageError> {
    match answer {
        Ok(there) => Ok(Some(there)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(out_of_reach(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_prefix() {
        let place = |url| S3::parse(url).map(|s3| (s3.bucket, s3.prefix));
        let pair = |bucket: &str, prefix: &str| Ok((bucket.to_owned(), prefix.to_owned()));
        assert_eq!(place("s3://pictures"), pair("pictures", ""));
        assert_eq!(place("s3://pictures/"), pair("pictures", ""));
        assert_eq!(place("s3://our.pictures/a/b/"), pair("our.pictures", "a/b"));
        for wrong in ["", "pictures", "s3://", "s3:///x", "gs://x", "s3://a b", "s3://x/../y", "s3://user:key@host/x"] {
            assert!(S3::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_keys_are_not_printed() {
        let keys = Some(("AKID".to_owned(), "hush".to_owned()));
        let s3 = S3 { keys, ..S3::parse("s3://pictures/a").expect("a place") };
        assert_eq!(format!("{s3:?}"), "s3://pictures/a");
    }
}

//! The pictures that a job starts from: kept when it comes, read again when its turn comes.

use super::{Queue, QueueError, store::Lease};
use crate::{images::BlobHash, intake};
use fresco_api::{ApiError, ErrorCode, Params};
use fresco_diffusion::Prepared;
use std::sync::Arc;
use tokio_util::bytes::Bytes;

impl Queue {
    /// Keeps a request's files; their hashes, and the bytes they have together.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub(crate) async fn keep(&self, files: Vec<Vec<u8>>) -> Result<(Vec<BlobHash>, u64), QueueError> {
        let bytes = files.iter().map(|file| file.len() as u64).sum();
        let mut hashes = Vec::with_capacity(files.len());
        for file in files {
            hashes.push(self.0.blobs.put(Bytes::from(file)).await?);
        }
        Ok((hashes, bytes))
    }

    /// What a job starts from, in the form that an engine takes.
    ///
    /// # Errors
    /// When a file is gone or damaged.
    pub(super) async fn prepared(&self, lease: &Lease) -> Result<Option<Arc<Prepared>>, ApiError> {
        if lease.inputs.is_empty() {
            return Ok(None);
        }
        let mut files = Vec::with_capacity(lease.inputs.len());
        for hash in &lease.inputs {
            files.push(self.0.blobs.get(hash).await.map_err(|error| {
                tracing::error!(job = %lease.job, "a picture cannot be read: {error}");
                ApiError::new(ErrorCode::Internal, "A picture that the job starts from cannot be read")
            })?);
        }
        let params = lease.params.clone();
        let decoding = tokio::task::spawn_blocking(move || prepare(&params, &files));
        let broken = |_| ApiError::new(ErrorCode::Internal, "The job's pictures cannot be read");
        decoding.await.map_err(broken)?.map(|prepared| Some(Arc::new(prepared)))
    }
}

fn prepare(params: &Params, files: &[Bytes]) -> Result<Prepared, ApiError> {
    let input = |file: &Bytes| intake::decoded(file).map_err(|reason| ApiError::new(ErrorCode::Internal, reason));
    let inputs = files.iter().map(input).collect::<Result<_, _>>()?;
    Prepared::new(params, inputs)
}

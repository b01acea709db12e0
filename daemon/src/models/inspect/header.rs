//! The header of a safetensors file, as far as counting needs it.

use super::InspectError;
use crate::models::ModelFiles;
use fresco_diffusion::Source;
use futures_executor::block_on;
use safetensors::tensor::Metadata;

/// The longest header that is read; the format's own limit is the same.
const LONGEST: u64 = 100_000_000;

/// One tensor of a file.
pub(super) struct Tensor {
    pub name: String,
    pub dtype: String,
    pub parameters: u64,
    pub bytes: u64,
}

/// The tensors of a file; its values are not read.
pub(super) fn tensors(files: &ModelFiles, file: &str) -> Result<Vec<Tensor>, InspectError> {
    let bad = |reason: &str| InspectError { file: file.to_owned(), reason: reason.to_owned() };
    let length = block_on(files.len(file))?.ok_or_else(|| bad("is missing"))?;
    if length < 8 {
        return Err(bad("is truncated"));
    }
    let first: [u8; 8] = block_on(files.read(file, 0..8))?.try_into().map_err(|_| bad("is truncated"))?;
    let size = u64::from_le_bytes(first);
    if size > LONGEST || size > length - 8 {
        return Err(bad("is truncated or is no safetensors file"));
    }
    let header = block_on(files.read(file, 8..8 + size))?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| bad(&format!("has a damaged header: {error}")))?;
    if length - 8 - size < metadata.data_len() as u64 {
        return Err(bad("is truncated: it ends before its last tensor"));
    }
    let tensor = |(name, info): (String, &safetensors::tensor::TensorInfo)| Tensor {
        name,
        dtype: format!("{:?}", info.dtype),
        parameters: info.shape.iter().map(|side| *side as u64).product(),
        bytes: (info.data_offsets.1 - info.data_offsets.0) as u64,
    };
    Ok(metadata.tensors().into_iter().map(tensor).collect())
}

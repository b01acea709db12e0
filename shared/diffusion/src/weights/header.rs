//! The header of a safetensors file: which tensors it has, of which type and shape, and where.

use crate::{LoadError, Source};
use half::{bf16, f16};
use safetensors::{Dtype, tensor::Metadata};
use std::ops::Range;

/// The longest header that is read; the format's own limit is the same.
const LONGEST: u64 = 100_000_000;

/// A floating-point type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// IEEE half.
    F16,
    /// Brain float.
    Bf16,
    /// IEEE single.
    F32,
}

impl Float {
    /// Bytes of a value.
    pub fn bytes(self) -> usize {
        match self {
            Float::F16 | Float::Bf16 => 2,
            Float::F32 => 4,
        }
    }

    /// Little-endian bytes as f32 values.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Float::F16 => pairs(bytes, |pair| f16::from_le_bytes(pair).to_f32()),
            Float::Bf16 => pairs(bytes, |pair| bf16::from_le_bytes(pair).to_f32()),
            Float::F32 => bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
        }
    }
}

fn pairs(bytes: &[u8], convert: impl Fn([u8; 2]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().map(|pair| convert(*pair)).collect()
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file it is in.
    pub file: String,
    /// How its values are stored; the type's name where it cannot be read.
    pub float: Result<Float, String>,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its bytes in the file.
    pub range: Range<u64>,
}

/// The tensors of `file`, of whatever type.
///
/// # Errors
/// The file is missing or shorter than its header says, or the header is not of the format.
pub async fn read(source: &impl Source, file: &str) -> Result<Vec<(String, Entry)>, LoadError> {
    let length = source.len(file).await?.ok_or_else(|| LoadError::bad(file, "the file is missing"))?;
    if length < 8 {
        return Err(LoadError::bad(file, format!("is truncated: {length} bytes are no safetensors file")));
    }
    let first = source.read(file, 0..8).await?;
    let first: [u8; 8] = first.try_into().map_err(|_| LoadError::bad(file, "is truncated in its first 8 bytes"))?;
    let size = u64::from_le_bytes(first);
    if size > LONGEST || size > length - 8 {
        return Err(LoadError::bad(file, "is truncated or is no safetensors file: its header would not fit into it"));
    }
    let start = 8 + size;
    let bytes = source.read(file, 8..start).await?;
    // The type's own checks: offsets follow each other and fit each tensor's shape.
    let metadata: Metadata =
        serde_json::from_slice(&bytes).map_err(|e| LoadError::bad(file, format!("has a damaged header: {e}")))?;
    let data = metadata.data_len() as u64;
    if length - start < data {
        let have = length - start;
        return Err(LoadError::bad(file, format!("is truncated: it has {have} of {data} bytes of tensors")));
    }
    let tensors = metadata.tensors();
    let entry = |(name, info): (&String, &&safetensors::tensor::TensorInfo)| {
        let (begin, end) = info.data_offsets;
        let range = start + begin as u64..start + end as u64;
        (name.clone(), Entry { file: file.to_owned(), float: float(info.dtype), shape: info.shape.clone(), range })
    };
    Ok(tensors.iter().map(entry).collect())
}

fn float(dtype: Dtype) -> Result<Float, String> {
    match dtype {
        Dtype::F16 => Ok(Float::F16),
        Dtype::BF16 => Ok(Float::Bf16),
        Dtype::F32 => Ok(Float::F32),
        other => Err(format!("{other:?}")),
    }
}

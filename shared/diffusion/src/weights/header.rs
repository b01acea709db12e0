//! The header of a weights file: which tensors it has, of which type and shape, and where.
//!
//! The first bytes say which format it is. Formats that run code when they are read are refused.

use super::{Entry, gguf, safetensors};
use crate::{LoadError, Source};
use std::collections::BTreeMap;

/// What a file says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Tensors by the names that the file uses.
    pub tensors: BTreeMap<String, Entry>,
    /// Free text of the file's author, such as `modelspec.prediction_type`.
    pub notes: BTreeMap<String, String>,
}

/// Reads the header of `file`.
///
/// # Errors
/// The file is missing or shorter than its header says, is of a format that is not read, or is
/// damaged. Nothing is allocated that the file's own length does not justify.
pub async fn read(source: &impl Source, file: &str) -> Result<Header, LoadError> {
    let length = source.len(file).await?.ok_or_else(|| LoadError::bad(file, "the file is missing"))?;
    if length < 8 {
        return Err(LoadError::bad(file, format!("is truncated: {length} bytes are no weights file")));
    }
    let first = source.read(file, 0..8).await?;
    let first: [u8; 8] = first.try_into().map_err(|_| LoadError::bad(file, "is truncated in its first 8 bytes"))?;
    if pickled(first) {
        let what = "a pickle (.ckpt, .pt, .pth, .bin), which can run any code while it is read: \
                    convert it to safetensors";
        return Err(LoadError::bad(file, format!("is {what}")));
    }
    match &first[..4] {
        b"GGUF" => gguf::read(source, file, length).await,
        _ => safetensors::read(source, file, length, u64::from_le_bytes(first)).await,
    }
}

/// PyTorch's archives are zip files, its older files bare pickles that begin with the opcode `PROTO`
/// and a version. As the length of a safetensors header, those bytes would be beyond the limit.
fn pickled(first: [u8; 8]) -> bool {
    let bare = first[0] == 0x80 && (2..=5).contains(&first[1]) && u64::from_le_bytes(first) > safetensors::LONGEST;
    bare || first.starts_with(b"PK\x03\x04")
}

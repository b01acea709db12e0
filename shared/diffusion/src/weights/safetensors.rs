//! The header of a safetensors file: a length, then JSON.
//!
//! Offsets are 64 bits wide whatever the target: a checkpoint of more than 4 GiB is read in a
//! browser too.

use super::{Entry, Storage, View, header::Header};
use crate::{LoadError, Source};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The longest header that is read; the format's own limit is the same.
pub const LONGEST: u64 = 100_000_000;

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// One value of the JSON object: a tensor, or the author's notes under `__metadata__`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Tensor(Info),
    Notes(BTreeMap<String, String>),
}

/// Reads the header of `file`, whose first 8 bytes say that it has `size` bytes.
pub async fn read(source: &impl Source, file: &str, length: u64, size: u64) -> Result<Header, LoadError> {
    if size > LONGEST || size > length - 8 {
        return Err(LoadError::bad(file, "is truncated or is no safetensors file: its header would not fit into it"));
    }
    let start = 8 + size;
    let bytes = source.read(file, 8..start).await?;
    let items: BTreeMap<String, Item> =
        serde_json::from_slice(&bytes).map_err(|e| LoadError::bad(file, format!("has a damaged header: {e}")))?;
    let mut header = Header::default();
    let mut spans = Vec::with_capacity(items.len());
    for (name, item) in items {
        match item {
            Item::Notes(notes) if name == "__metadata__" => header.notes = notes,
            Item::Tensor(info) => {
                spans.push(info.data_offsets);
                let entry = entry(file, start, info).ok_or_else(|| damaged(file, &name))?;
                header.tensors.insert(name, entry);
            }
            Item::Notes(_) => return Err(damaged(file, &name)),
        }
    }
    let data = without_gaps(spans).ok_or_else(|| LoadError::bad(file, "has a damaged header: its tensors overlap"))?;
    if length - start < data {
        let have = length - start;
        return Err(LoadError::bad(file, format!("is truncated: it has {have} of {data} bytes of tensors")));
    }
    Ok(header)
}

fn damaged(file: &str, name: &str) -> LoadError {
    LoadError::bad(file, format!("has a damaged header: tensor {name}"))
}

/// Where the data end, if the tensors follow each other without gaps from 0 on.
fn without_gaps(mut spans: Vec<(u64, u64)>) -> Option<u64> {
    spans.sort_unstable();
    spans.iter().try_fold(0, |at, (begin, end)| (*begin == at && end >= begin).then_some(*end))
}

/// `None` when the bytes do not fit the shape.
fn entry(file: &str, start: u64, info: Info) -> Option<Entry> {
    let (begin, end) = info.data_offsets;
    let range = start.checked_add(begin)?..start.checked_add(end)?;
    let values = info.shape.iter().try_fold(1_u64, |product, side| product.checked_mul(*side))?;
    let shape: Option<Vec<usize>> = info.shape.iter().map(|side| usize::try_from(*side).ok()).collect();
    let storage = storage(&info.dtype);
    if let Ok(storage) = &storage
        && storage.bytes(values) != end.checked_sub(begin)
    {
        return None;
    }
    Some(Entry { file: file.to_owned(), storage, shape: shape?, range, view: View::Plain })
}

fn storage(dtype: &str) -> Result<Storage, String> {
    match dtype {
        "F32" => Ok(Storage::F32),
        "F16" => Ok(Storage::F16),
        "BF16" => Ok(Storage::Bf16),
        "F8_E4M3" => Ok(Storage::F8E4m3),
        "F8_E5M2" => Ok(Storage::F8E5m2),
        other => Err(other.to_owned()),
    }
}

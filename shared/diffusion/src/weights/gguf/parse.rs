//! A GGUF header from the first bytes of a file. Counts are believed only as far as bytes follow.

use super::{
    super::{Entry, Storage, View, header::Header},
    Block,
    cursor::Cursor,
};
use std::collections::BTreeMap;

/// Why there is no header.
pub enum Fault {
    /// More bytes are needed.
    Short,
    /// What is there is wrong.
    Bad(String),
}

fn bad<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Bad(reason.into()))
}

/// The most dimensions of a tensor in ggml.
const MOST_DIMENSIONS: u32 = 4;
/// The deepest array of arrays that is skipped.
const DEEPEST: u32 = 4;
/// Where the ComfyUI node notes the shape of a tensor that it stored in rows of 256 values.
const ORIGINAL_SHAPE: &str = "comfy.gguf.orig_shape.";

/// What the key-value pairs say that matters here.
#[derive(Default)]
struct Notes {
    texts: BTreeMap<String, String>,
    shapes: BTreeMap<String, Vec<u64>>,
    alignment: Option<u64>,
}

/// The header at the beginning of a file of `length` bytes.
pub fn header(bytes: &[u8], file: &str, length: u64) -> Result<Header, Fault> {
    let mut cursor = Cursor::new(bytes);
    cursor.take(4)?;
    match cursor.u32()? {
        2 | 3 => {}
        version if version.swap_bytes() <= 3 => return bad("is a big-endian GGUF file, which is not read"),
        version => return bad(format!("is GGUF of version {version}; 2 and 3 are read")),
    }
    let (tensors, pairs) = (cursor.u64()?, cursor.u64()?);
    let mut notes = Notes::default();
    for _ in 0..pairs {
        let key = cursor.text()?;
        let kind = cursor.u32()?;
        note(&mut cursor, key, kind, &mut notes)?;
    }
    let mut placed = Vec::new();
    for _ in 0..tensors {
        placed.push(tensor(&mut cursor)?);
    }
    let alignment = notes.alignment.unwrap_or(32);
    if !alignment.is_power_of_two() || alignment > 1 << 20 {
        return bad(format!("has a damaged header: an alignment of {alignment}"));
    }
    let start = (cursor.at() as u64).next_multiple_of(alignment);
    let mut header = Header { notes: notes.texts, ..Header::default() };
    for tensor in placed {
        let shape = notes.shapes.remove(tensor.name);
        let entry = tensor.entry(file, (start, length), shape)?;
        if header.tensors.insert(tensor.name.to_owned(), entry).is_some() {
            return bad(format!("has a damaged header: tensor {} twice", tensor.name));
        }
    }
    Ok(header)
}

/// Reads a value, and keeps it if it matters.
fn note(cursor: &mut Cursor, key: &str, kind: u32, notes: &mut Notes) -> Result<(), Fault> {
    if kind == TEXT && (key.starts_with("general.") || key.starts_with("modelspec.")) {
        notes.texts.insert(key.to_owned(), cursor.text()?.to_owned());
    } else if kind == U32 && key == "general.alignment" {
        notes.alignment = Some(u64::from(cursor.u32()?));
    } else if let (ARRAY, Some(name)) = (kind, key.strip_prefix(ORIGINAL_SHAPE)) {
        notes.shapes.insert(name.to_owned(), sides(cursor)?);
    } else {
        skip(cursor, kind, DEEPEST)?;
    }
    Ok(())
}

const U32: u32 = 4;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Bytes of a value of a type, where that is fixed.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn skip(cursor: &mut Cursor, kind: u32, deepest: u32) -> Result<(), Fault> {
    if let Some(width) = width(kind) {
        cursor.take(width)?;
        return Ok(());
    }
    match kind {
        TEXT => {
            let length = cursor.u64()?;
            cursor.take(length)?;
        }
        ARRAY if deepest > 0 => {
            let (inner, count) = (cursor.u32()?, cursor.u64()?);
            if let Some(width) = width(inner) {
                let Some(length) = count.checked_mul(width) else {
                    return bad("has a damaged header: an endless array");
                };
                cursor.take(length)?;
                return Ok(());
            }
            for _ in 0..count {
                skip(cursor, inner, deepest - 1)?;
            }
        }
        _ => return bad(format!("has a damaged header: a value of type {kind}")),
    }
    Ok(())
}

/// A short array of 32-bit or 64-bit numbers.
fn sides(cursor: &mut Cursor) -> Result<Vec<u64>, Fault> {
    let (kind, count) = (cursor.u32()?, cursor.u64()?);
    if count > 8 {
        return bad("has a damaged header: a shape of too many dimensions");
    }
    let side = |cursor: &mut Cursor| match kind {
        4 | 5 => cursor.u32().map(u64::from),
        10 | 11 => cursor.u64(),
        _ => bad("has a damaged header: a shape that is no numbers"),
    };
    (0..count).map(|_| side(cursor)).collect()
}

/// A tensor as the header places it.
struct Placed<'a> {
    name: &'a str,
    shape: Vec<u64>,
    kind: u32,
    offset: u64,
}

fn tensor<'a>(cursor: &mut Cursor<'a>) -> Result<Placed<'a>, Fault> {
    let name = cursor.text()?;
    let dimensions = cursor.u32()?;
    if dimensions > MOST_DIMENSIONS {
        return bad(format!("has a damaged header: {dimensions} dimensions of tensor {name}"));
    }
    let mut shape = (0..dimensions).map(|_| cursor.u64()).collect::<Result<Vec<u64>, Fault>>()?;
    shape.reverse();
    Ok(Placed { name, shape, kind: cursor.u32()?, offset: cursor.u64()? })
}

impl Placed<'_> {
    /// The tensor in a file whose data begin at `start`; `original` is its shape where it was
    /// stored in another one.
    fn entry(&self, file: &str, (start, length): (u64, u64), original: Option<Vec<u64>>) -> Result<Entry, Fault> {
        let damaged = || Fault::Bad(format!("has a damaged header: tensor {}", self.name));
        let values = product(&self.shape).ok_or_else(damaged)?;
        let storage = storage(self.kind);
        let bytes = match &storage {
            Ok(storage) => {
                let row = self.shape.last().copied().unwrap_or(1);
                storage.bytes(row).and_then(|_| storage.bytes(values)).ok_or_else(damaged)?
            }
            // Where such a tensor ends is not known, and it is never read.
            Err(_) => 0,
        };
        let begin = start.checked_add(self.offset).ok_or_else(damaged)?;
        let end = begin.checked_add(bytes).ok_or_else(damaged)?;
        if end > length {
            return bad(format!("is truncated: tensor {} ends at {end} of {length} bytes", self.name));
        }
        let shape = match original {
            Some(shape) if product(&shape) == Some(values) => shape,
            Some(_) => return Err(damaged()),
            None => self.shape.clone(),
        };
        let shape: Option<Vec<usize>> = shape.into_iter().map(|side| usize::try_from(side).ok()).collect();
        let shape = shape.ok_or_else(damaged)?;
        Ok(Entry { file: file.to_owned(), storage, shape, range: begin..end, view: View::Plain })
    }
}

fn product(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1_u64, |product, side| product.checked_mul(*side))
}

/// ggml's number of a type.
fn storage(kind: u32) -> Result<Storage, String> {
    match kind {
        0 => Ok(Storage::F32),
        1 => Ok(Storage::F16),
        2 => Ok(Storage::Block(Block::Q4_0)),
        3 => Ok(Storage::Block(Block::Q4_1)),
        6 => Ok(Storage::Block(Block::Q5_0)),
        7 => Ok(Storage::Block(Block::Q5_1)),
        8 => Ok(Storage::Block(Block::Q8_0)),
        12 => Ok(Storage::Block(Block::Q4K)),
        13 => Ok(Storage::Block(Block::Q5K)),
        14 => Ok(Storage::Block(Block::Q6K)),
        30 => Ok(Storage::Bf16),
        10 => Err("Q2_K".to_owned()),
        11 => Err("Q3_K".to_owned()),
        other => Err(format!("{other} of ggml")),
    }
}

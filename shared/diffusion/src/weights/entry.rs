//! One tensor of a file: where its bytes are, and what is done to them before they are its values.

use super::{Raw, Storage};
use crate::{LoadError, Source};
use std::{collections::BTreeMap, ops::Range};

/// What is done to a tensor's stored values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Nothing.
    #[default]
    Plain,
    /// The file holds the transposed matrix.
    Transposed,
    /// The file holds the second half of the rows first.
    HalvesSwapped,
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file it is in.
    pub file: String,
    /// How its values are stored; the type's name where it cannot be read.
    pub storage: Result<Storage, String>,
    /// Its shape, after the view.
    pub shape: Vec<usize>,
    /// Its bytes in the file.
    pub range: Range<u64>,
    /// How stored values become its values.
    pub view: View,
}

/// The tensors of one component, whatever files they are in.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The file that errors name when a tensor is missing.
    pub file: String,
    /// Tensors by the names that diffusers and transformers use.
    pub tensors: BTreeMap<String, Entry>,
}

impl Listing {
    /// The shape of a tensor, or `None` when there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Stored bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.tensors.values().map(|entry| entry.range.end - entry.range.start).sum()
    }
}

impl Entry {
    /// The matrix of which the file holds the transpose; anything but a matrix is left alone.
    pub fn transposed(mut self) -> Self {
        if let [rows, columns] = self.shape[..] {
            self.shape = vec![columns, rows];
            self.view = View::Transposed;
        }
        self
    }

    /// With the halves of its rows exchanged.
    pub fn halves_swapped(self) -> Self {
        Self { view: View::HalvesSwapped, ..self }
    }

    /// With other dimensions of the same number of values.
    pub fn shaped(self, shape: Vec<usize>) -> Self {
        Self { shape, ..self }
    }

    /// The three equal parts of its rows: query, key and value of a fused projection.
    ///
    /// # Errors
    /// The rows do not divide, or a part would begin within a block of quantised values.
    pub fn thirds(&self) -> Result<[Entry; 3], LoadError> {
        let refuse = || LoadError::bad(&self.file, format!("a fused tensor of shape {:?} has no thirds", self.shape));
        let length = (self.range.end - self.range.start) / 3;
        let rows = self.shape.first().copied().unwrap_or_default();
        let (_, piece) = self.storage.as_ref().map_or((1, 1), |storage| storage.piece());
        let whole = (self.range.end - self.range.start).is_multiple_of(3) && length.is_multiple_of(piece as u64);
        if rows == 0 || !rows.is_multiple_of(3) || !whole || self.view != View::Plain {
            return Err(refuse());
        }
        let part = |index: u64| {
            let start = self.range.start + index * length;
            let mut shape = self.shape.clone();
            shape[0] = rows / 3;
            Entry { shape, range: start..start + length, ..self.clone() }
        };
        Ok([part(0), part(1), part(2)])
    }

    /// Its f32 values in row-major order; `name` is for errors.
    ///
    /// # Errors
    /// As [`Entry::raw`].
    pub async fn read(&self, source: &impl Source, name: &str) -> Result<Vec<f32>, LoadError> {
        Ok(self.raw(source, name).await?.decode())
    }

    /// Its values in row-major order, as the file holds them wherever the view leaves them so; `name` is for errors.
    ///
    /// # Errors
    /// The source fails or gives another number of bytes, or the type is not one that is read.
    pub async fn raw(&self, source: &impl Source, name: &str) -> Result<Raw, LoadError> {
        let storage = *self
            .storage
            .as_ref()
            .map_err(|kind| LoadError::unsupported(&self.file, format!("the type {kind} of tensor {name}")))?;
        let length = self.range.end - self.range.start;
        let bytes = source.read(&self.file, self.range.clone()).await?;
        if bytes.len() as u64 != length {
            return Err(LoadError::bad(&self.file, format!("{} of {length} bytes of {name} came", bytes.len())));
        }
        let values = self.shape.iter().try_fold(1_u64, |product, side| product.checked_mul(*side as u64));
        if values.and_then(|values| storage.bytes(values)) != Some(length) {
            return Err(LoadError::bad(&self.file, format!("tensor {name} does not have as many values as its shape")));
        }
        Ok(self.view.seen(storage, bytes, &self.shape))
    }

    /// Some of its values, without reading the others where they lie apart in the file.
    ///
    /// # Errors
    /// As [`Entry::read`]; or it has fewer values.
    pub async fn read_part(&self, source: &impl Source, name: &str, part: Range<usize>) -> Result<Vec<f32>, LoadError> {
        let missing = || LoadError::bad(&self.file, format!("tensor {name} has no values {part:?}"));
        if part.start > part.end || part.end > self.shape.iter().product() {
            return Err(missing());
        }
        let apart = |storage: &Storage| {
            let bytes = |values: usize| storage.bytes(values as u64);
            let (start, end) = (self.range.start + bytes(part.start)?, self.range.start + bytes(part.end)?);
            (self.view == View::Plain && end <= self.range.end).then_some(start..end)
        };
        match self.storage.as_ref().ok().and_then(apart) {
            Some(range) => Entry { range, shape: vec![part.len()], ..self.clone() }.read(source, name).await,
            None => self.read(source, name).await?.get(part.clone()).map(<[f32]>::to_vec).ok_or_else(missing),
        }
    }

    /// Stored bytes of so many of its values, 0 where they are no whole number of bytes.
    pub fn stored(&self, values: usize) -> u64 {
        self.storage.as_ref().ok().and_then(|storage| storage.bytes(values as u64)).unwrap_or_default()
    }
}

impl View {
    /// What stored bytes of a tensor of `shape` are behind the view.
    fn seen(self, storage: Storage, mut bytes: Vec<u8>, shape: &[usize]) -> Raw {
        let (values, size) = storage.piece();
        match self {
            View::Plain => Raw::Stored(storage, bytes),
            // Blocks of several values are not moved.
            _ if values > 1 => {
                let bytes: Vec<u8> = storage.decode(&bytes).into_iter().flat_map(f32::to_le_bytes).collect();
                self.seen(Storage::F32, bytes, shape)
            }
            View::HalvesSwapped => {
                let middle = bytes.len() / size / 2 * size;
                bytes.rotate_left(middle);
                Raw::Stored(storage, bytes)
            }
            View::Transposed => Raw::Stored(storage, transposed(&bytes, size, shape)),
        }
    }
}

/// A matrix of `shape` from its transpose; a value has `size` bytes.
fn transposed(stored: &[u8], size: usize, shape: &[usize]) -> Vec<u8> {
    let [rows, columns] = *shape else { return stored.to_vec() };
    let mut bytes = Vec::with_capacity(stored.len());
    for row in 0..rows {
        for column in 0..columns {
            let at = (column * rows + row) * size;
            bytes.extend_from_slice(&stored[at..at + size]);
        }
    }
    bytes
}

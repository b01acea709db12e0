//! A tensor on its way from a file to a device: as its file holds it, until somebody needs its numbers.

use super::Storage;

/// A tensor's values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// As they are computed with.
    Values(Vec<f32>),
    /// As a file holds them: whole pieces of a type.
    Stored(Storage, Vec<u8>),
}

impl Raw {
    /// How the file holds them, where they are as in the file.
    pub fn storage(&self) -> Option<Storage> {
        match self {
            Raw::Values(_) => None,
            Raw::Stored(storage, _) => Some(*storage),
        }
    }

    /// How many values there are.
    pub fn values(&self) -> usize {
        match self {
            Raw::Values(values) => values.len(),
            Raw::Stored(storage, bytes) => {
                let (values, size) = storage.piece();
                bytes.len() / size * values
            }
        }
    }

    /// All values as f32.
    pub fn decode(self) -> Vec<f32> {
        match self {
            Raw::Values(values) => values,
            Raw::Stored(storage, bytes) => storage.decode(&bytes),
        }
    }

    /// Calls `f` with the values as f32, a few thousand at a time and in whole blocks of 256: never are all of them
    /// there at once.
    pub fn each_part(&self, mut f: impl FnMut(&[f32])) {
        const PART: usize = 32 * 256;
        match self {
            Raw::Values(values) => values.chunks(PART).for_each(f),
            Raw::Stored(storage, bytes) => {
                let (values, size) = storage.piece();
                bytes.chunks(PART / values * size).for_each(|part| f(&storage.decode(part)));
            }
        }
    }

    /// The largest size of a value, and whether all are finite.
    pub fn largest(&self) -> (f32, bool) {
        let (mut largest, mut finite) = (0.0_f32, true);
        self.each_part(|part| {
            for value in part {
                largest = largest.max(value.abs());
                finite &= value.is_finite();
            }
        });
        (largest, finite)
    }
}

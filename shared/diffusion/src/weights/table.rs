//! A table whose rows are asked for one by one. It stays on the host, as its file holds it.

use super::Raw;

/// Rows of numbers, such as the vectors of a vocabulary's tokens.
pub struct Table {
    raw: Raw,
    width: usize,
    rows: usize,
}

impl Table {
    /// A table with rows of `width` values; values behind the last whole row are left out.
    pub fn new(raw: Raw, width: usize) -> Self {
        let rows = raw.values() / width.max(1);
        // A row that begins within a block cannot be read alone.
        let apart = raw.storage().is_none_or(|storage| storage.bytes(width as u64).is_some());
        let raw = if apart { raw } else { Raw::Values(raw.decode()) };
        Self { raw, width, rows }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A row's values; of a row behind the last one, the last one's. Empty in a table without rows.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let row = row.min(self.rows.saturating_sub(1));
        match &self.raw {
            Raw::Values(values) => {
                values.get(row * self.width..(row + 1) * self.width).map(<[f32]>::to_vec).unwrap_or_default()
            }
            Raw::Stored(storage, bytes) => {
                let (count, size) = storage.piece();
                let length = self.width / count * size;
                bytes.get(row * length..(row + 1) * length).map(|row| storage.decode(row)).unwrap_or_default()
            }
        }
    }

    /// Bytes on the host.
    pub fn bytes(&self) -> usize {
        match &self.raw {
            Raw::Values(values) => 4 * values.len(),
            Raw::Stored(_, bytes) => bytes.len(),
        }
    }
}

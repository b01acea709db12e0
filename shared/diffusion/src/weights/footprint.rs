//! How many bytes tensors take on a device at each precision, from their headers alone.

use super::{Entry, Kind, Precision, Storage};

/// Values of the largest layer of the published UNets: 2560 channels to 1280, 3 x 3.
const LARGEST: u64 = 2560 * 1280 * 9;

/// Bytes on a device at each precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    bytes: [u64; Precision::ALL.len()],
    largest: u64,
    wide: bool,
}

impl Footprint {
    /// Of tensors in files: matrices and filters as they are packed, anything else as f32.
    ///
    /// Tables of tokens count as matrices, though they stay on the host.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut sum = Self::default();
        for entry in entries {
            let values = entry.shape.iter().fold(1_u64, |product, side| product.saturating_mul(*side as u64));
            let kind = match entry.shape.len() {
                2 => Some(Kind::Matrix),
                4 => Some(Kind::Filters),
                _ => None,
            };
            let stored = entry.storage.as_ref().ok().copied();
            let form = |precision: Precision| kind.and_then(|kind| precision.form(kind, stored));
            let one = Self::each(|precision| bytes(values, form(precision)));
            let largest = if kind.is_some() { values.saturating_mul(4) } else { 0 };
            sum = sum.plus(Self { largest, wide: kind.is_some() && stored == Some(Storage::F32), ..one });
        }
        sum
    }

    /// Of so many parameters of which only a share, in hundredths, is known to lie in matrices; the rest counts as
    /// filters.
    pub fn of_parameters(parameters: u64, matrices: u64) -> Self {
        let in_matrices = parameters / 100 * matrices.min(100);
        let rest = parameters - in_matrices;
        let sum = Self::each(|precision| {
            bytes(in_matrices, precision.form(Kind::Matrix, None)) + bytes(rest, precision.form(Kind::Filters, None))
        });
        Self { largest: 4 * parameters.min(LARGEST), ..sum }
    }

    /// Bytes of the largest layer as f32: what unpacking takes while it runs.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Bytes at a precision.
    pub fn at(&self, precision: Precision) -> u64 {
        Precision::ALL.iter().zip(self.bytes).find(|(each, _)| **each == precision).map_or(0, |(_, bytes)| bytes)
    }

    /// Whether the files hold some of them in more than 16 bits, so that 16 lose something.
    pub fn is_wide(&self) -> bool {
        self.wide
    }

    /// These tensors and others.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let bytes = std::array::from_fn(|i| self.bytes[i].saturating_add(other.bytes[i]));
        Self { bytes, largest: self.largest.max(other.largest), wide: self.wide || other.wide }
    }

    fn each(bytes: impl Fn(Precision) -> u64) -> Self {
        Self { bytes: Precision::ALL.map(bytes), ..Self::default() }
    }
}

/// Bytes of so many values in a form, f32 without one.
fn bytes(values: u64, form: Option<fresco_kernels::Form>) -> u64 {
    match form {
        None => values.saturating_mul(4),
        Some(form) => {
            let bits = u64::from(form.bits()) + if form.is_scaled() { 1 } else { 0 };
            (values / 8).saturating_mul(bits) + bits
        }
    }
}

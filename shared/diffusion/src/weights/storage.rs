//! How a tensor's values are stored in a file, and their f32 values.

use super::gguf::Block;
use half::{bf16, f16};

/// The type of a tensor's values in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// Brain float.
    Bf16,
    /// A byte with 4 bits of exponent and no infinities (Micikevicius et al. 2022).
    F8E4m3,
    /// A byte with 5 bits of exponent: the upper half of an IEEE half.
    F8E5m2,
    /// Values in blocks that share a scale.
    Block(Block),
}

impl Storage {
    /// Its name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Storage::F32 => "F32",
            Storage::F16 => "F16",
            Storage::Bf16 => "BF16",
            Storage::F8E4m3 => "F8_E4M3",
            Storage::F8E5m2 => "F8_E5M2",
            Storage::Block(block) => block.name(),
        }
    }

    /// Values and bytes of the smallest piece that can be read alone.
    pub fn piece(self) -> (usize, usize) {
        match self {
            Storage::F32 => (1, 4),
            Storage::F16 | Storage::Bf16 => (1, 2),
            Storage::F8E4m3 | Storage::F8E5m2 => (1, 1),
            Storage::Block(block) => block.piece(),
        }
    }

    /// Bytes of this many values; `None` when they are no whole number of pieces or too many to count.
    pub fn bytes(self, values: u64) -> Option<u64> {
        let (count, bytes) = self.piece();
        let whole = values.is_multiple_of(count as u64);
        whole.then_some(values / count as u64)?.checked_mul(bytes as u64)
    }

    /// Little-endian bytes as f32 values; an incomplete piece at the end is left out.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Storage::F32 => bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
            Storage::F16 => pairs(bytes, |pair| f16::from_le_bytes(pair).to_f32()),
            Storage::Bf16 => pairs(bytes, |pair| bf16::from_le_bytes(pair).to_f32()),
            Storage::F8E4m3 => bytes.iter().map(|byte| e4m3(*byte)).collect(),
            Storage::F8E5m2 => bytes.iter().map(|byte| f16::from_le_bytes([0, *byte]).to_f32()).collect(),
            Storage::Block(block) => block.decode(bytes),
        }
    }
}

fn pairs(bytes: &[u8], convert: impl Fn([u8; 2]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().map(|pair| convert(*pair)).collect()
}

/// Sign, 4 bits of exponent with bias 7, 3 bits of mantissa; all ones is no number.
fn e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f32::from(byte & 7));
    let size = match (exponent, byte & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2f32.powi(-9),
        _ => (8.0 + mantissa) * 2f32.powi(exponent - 10),
    };
    if byte & 0x80 == 0 { size } else { -size }
}

//! What a user is told about memory.

use super::{Outline, Savings};
use crate::weights::Precision;
use std::fmt;

/// A model that does not fit a device, and what would make it fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TooLarge {
    /// Bytes that the thriftiest setting needs.
    pub needed: u64,
    /// Bytes that there are.
    pub room: u64,
    message: String,
}

impl TooLarge {
    pub(super) fn new(outline: &Outline, size: (u32, u32), needed: u64, room: u64) -> Self {
        // A user's wish may have ruled out what would have helped.
        let all = || outline.ladder().into_iter().chain(outline.beyond());
        let helps = |size: (u32, u32)| all().find(|savings| outline.need(size, *savings).peak <= room);
        let smaller = (1..4).map(|half| (size.0 >> half, size.1 >> half)).find(|size| helps(*size).is_some());
        let advice = match (helps(size), smaller) {
            (Some(savings), _) => {
                format!("It would fit with {savings}: {}", human(outline.need(size, savings).peak))
            }
            (None, Some((width, height))) => format!("A picture of {width} x {height} would fit"),
            (None, None) => "A smaller model or a device with more memory is needed".to_owned(),
        };
        let (width, height) = size;
        let message = format!(
            "The model needs {} of memory for {width} x {height} pixels, at its thriftiest, and there is room for {}. \
             {advice}",
            human(needed),
            human(room)
        );
        Self { needed, room, message }
    }
}

impl fmt::Display for Savings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.precision {
            Precision::F32 => "32-bit weights (f32)",
            Precision::F16 => "16-bit weights (f16)",
            Precision::Bf16 => "16-bit weights (bf16)",
            Precision::Q8 => "8-bit weights (q8)",
            Precision::Q4 => "4-bit weights (q4)",
        })?;
        if self.offload {
            f.write_str(", text encoders offloaded")?;
        }
        if self.tiled && !self.fast_decoder {
            f.write_str(", the autoencoder tiled")?;
        }
        if self.fast_decoder {
            f.write_str(", TAESD instead of the decoder")?;
        }
        Ok(())
    }
}

/// Bytes for people, as `1.7 GB`.
pub fn human(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

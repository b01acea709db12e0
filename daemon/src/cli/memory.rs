//! How models use the device's memory: options of the commands that run them.

use crate::engine::MemoryOptions;
use clap::Args;
use fresco_diffusion::Precision;

/// What the engine otherwise chooses by itself, from the memory that there is.
#[derive(Debug, Args)]
pub(super) struct Memory {
    /// In how many bits weights stay on the device: f32, f16, bf16, q8 or q4; the most that fit when left out.
    #[arg(long, env = "FRESCO_PRECISION", value_name = "P")]
    precision: Option<Precision>,
    /// Text encoders leave the device once the prompt is read (true), or stay (false).
    #[arg(long, env = "FRESCO_OFFLOAD", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    offload: Option<bool>,
    /// Memory that models may take, as 6G or 500M; a share of the device's when left out.
    #[arg(long, env = "FRESCO_MEMORY_BUDGET", value_name = "BYTES", value_parser = bytes)]
    memory_budget: Option<u64>,
}

impl Memory {
    pub(super) fn options(&self) -> MemoryOptions {
        MemoryOptions { budget: self.memory_budget, precision: self.precision, offload: self.offload, gauge: None }
    }
}

/// A number of bytes with its unit, in powers of 1024.
fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.trim_end_matches('b').trim_end_matches('i');
    let (digits, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let factor = match unit {
        "" => Some(1.0),
        "k" => Some(1024.0),
        "m" => Some(1024.0 * 1024.0),
        "g" => Some(1024.0 * 1024.0 * 1024.0),
        _ => None,
    };
    let number = digits.trim().parse::<f64>().ok().filter(|number| *number > 0.0);
    let found = number.zip(factor).map(|(number, factor)| number * factor);
    found.filter(|bytes| *bytes < 1e15).map(|bytes| bytes as u64).ok_or_else(|| "must be like 6G or 500M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn numbers_of_bytes_are_read() {
        let good = [("4096", 4096), ("500M", 500 << 20), ("6G", 6 << 30), ("1.5 GiB", 3 << 29), ("2kb", 2048)];
        for (text, expected) in good {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        assert!(["", "0", "-1", "G", "6X", "1e99", "nan"].iter().all(|text| bytes(text).is_err()));
    }
}

//! The header of a GGUF file, versions 2 and 3: key-value pairs, tensors, then their bytes.
//!
//! Format: `docs/gguf.md` of the ggml repository. Dimensions stand in ggml's order, the fastest first.

mod blocks;
mod cursor;
mod parse;
mod quantise;

use super::header::Header;
use crate::{LoadError, Source};
pub use blocks::Block;
use parse::Fault;
pub use quantise::{quantise_eight, quantise_four, quantise_q8_0};

/// How much is read first; a denoiser's header has about 200 KiB.
const FIRST: u64 = 1 << 20;
/// The longest header that is read: a large vocabulary has about 10 MiB.
const LONGEST: u64 = 256 << 20;

/// Reads the header of `file`, which has `length` bytes.
///
/// The format does not say how long its header is: more is read until it is whole.
pub async fn read(source: &impl Source, file: &str, length: u64) -> Result<Header, LoadError> {
    let mut have = FIRST.min(length);
    loop {
        let bytes = source.read(file, 0..have).await?;
        match parse::header(&bytes, file, length) {
            Ok(header) => return Ok(header),
            Err(Fault::Bad(reason)) => return Err(LoadError::bad(file, reason)),
            Err(Fault::Short) if have == length => {
                return Err(LoadError::bad(file, "is truncated: its header ends with the file"));
            }
            Err(Fault::Short) if have >= LONGEST => return Err(LoadError::bad(file, "has too long a header")),
            Err(Fault::Short) => have = (have * 4).min(length),
        }
    }
}

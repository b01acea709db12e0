//! The configuration files of a diffusers folder, as far as they change what is computed.
//!
//! A value that would change the result but is not built is an error, never ignored.

mod clip;
mod mmdit;
mod t5;
mod taesd;
mod unet;
mod vae;
mod vit;

use crate::{LoadError, Source};
use serde::de::DeserializeOwned;

pub use clip::{Activation, ClipConfig};
pub use mmdit::{MmditConfig, QkNorm};
pub use t5::T5Config;
pub use taesd::TaesdConfig;
pub use unet::{Addition, BlockKind, PerBlock, SIZES, UNetConfig};
pub use vae::VaeConfig;
pub use vit::{Sight, VitConfig};

/// The longest JSON file that is read; tokenizers of large models have a few megabytes.
const LONGEST: u64 = 64 << 20;

/// A JSON file of the model.
///
/// # Errors
/// The file is missing, too long, or not of the expected form.
pub async fn read_json<T: DeserializeOwned>(source: &impl Source, file: &str) -> Result<T, LoadError> {
    let bytes = read_text(source, file).await?.ok_or_else(|| LoadError::bad(file, "the file is missing"))?;
    serde_json::from_slice(&bytes).map_err(|error| LoadError::bad(file, error))
}

/// A whole small file, or `None` when there is none.
pub async fn read_text(source: &impl Source, file: &str) -> Result<Option<Vec<u8>>, LoadError> {
    match source.len(file).await? {
        None => Ok(None),
        Some(length) if length > LONGEST => Err(LoadError::bad(file, format!("has {length} bytes, more than is read"))),
        Some(length) => Ok(Some(source.read(file, 0..length).await?)),
    }
}

/// Fails unless `value` is what is built; `what` is the key in the file.
fn only<T: PartialEq + std::fmt::Debug>(file: &str, what: &str, value: &T, built: &T) -> Result<(), LoadError> {
    if value == built { Ok(()) } else { Err(LoadError::unsupported(file, format!("{what} = {value:?}"))) }
}

/// Fails unless `value` is a usable count.
fn count(file: &str, what: &str, value: usize, most: usize) -> Result<(), LoadError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(LoadError::bad(file, format!("{what} must be 1 to {most}, not {value}")))
}

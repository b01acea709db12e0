//! The model inside the program: small, and there on a machine that has nothing else.

use super::{BrokenModel, Entry, Model, ModelFiles};
use fresco_api::{ApiError, ErrorCode, ModelFile, ModelInfo};
use fresco_diffusion::{Pipeline, SourceError};
use rust_embed::RustEmbed;
use std::{borrow::Cow, ops::Range, sync::Arc};

/// Its files. The only copy in the program; the page's bundle leaves them out.
#[derive(RustEmbed)]
#[folder = "../public/models/fresco-tiny"]
pub(crate) struct Weights;

/// The name by which requests and the page's `/weights/` paths know it.
pub(crate) const NAME: &str = "fresco-tiny";

/// A catalogue entry, written by whoever made the model.
const INFO: &str = "fresco.json";

pub(super) fn entry() -> Entry {
    let info = read().map_err(|error| BrokenModel { id: NAME.into(), error })?;
    Ok(Arc::new(Model { info, files: ModelFiles::Embedded }))
}

fn read() -> Result<ModelInfo, ApiError> {
    let bad = |reason: String| ApiError::new(ErrorCode::BadModel, format!("{INFO}: {reason}")).at("model");
    let file = bytes(INFO).ok_or_else(|| bad("is missing".to_owned()))?;
    let info: ModelInfo = serde_json::from_slice(&file).map_err(|error| bad(error.to_string()))?;
    if info.id.0 != NAME {
        return Err(bad(format!("the id is {}, not {NAME}", info.id)));
    }
    info.check().map_err(bad)?;
    fits(&info)?;
    Ok(info)
}

/// Whether the entry says of the latents what the autoencoder's configuration says.
fn fits(info: &ModelInfo) -> Result<(), ApiError> {
    let facts = super::at_once(Pipeline::inspect(&ModelFiles::Embedded))?;
    if info.latent_factor == facts.latent_factor {
        return Ok(());
    }
    let reason =
        format!("{INFO}: latentFactor is {} and the autoencoder's {}", info.latent_factor, facts.latent_factor);
    Err(ApiError::new(ErrorCode::BadModel, reason).at("model"))
}

/// A file's length in bytes.
pub(super) fn length(file: &str) -> Option<u64> {
    bytes(file).map(|bytes| bytes.len() as u64)
}

/// Some of a file's bytes.
pub(super) fn part(file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
    let bytes = bytes(file).ok_or_else(|| SourceError::new(file, "is missing"))?;
    let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    let part = part.and_then(|(start, end)| bytes.get(start..end));
    part.map(<[u8]>::to_vec).ok_or_else(|| SourceError::new(file, "ends too early"))
}

/// One file's bytes.
pub(super) fn bytes(file: &str) -> Option<Cow<'static, [u8]>> {
    Weights::get(file).map(|file| file.data)
}

/// Every file.
pub(super) fn listed() -> Vec<ModelFile> {
    let file = |path: &str| {
        let file = Weights::get(path)?;
        let sha256 = file.metadata.sha256_hash().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(ModelFile { path: path.to_owned(), size: file.data.len() as u64, sha256: Some(sha256), git: None })
    };
    Weights::iter().filter_map(|path| file(&path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::hub::sha256;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_is_the_one_whose_digest_is_noted() {
        let sums = bytes("SHA256SUMS").expect("the digests");
        let sums = std::str::from_utf8(&sums).expect("text");
        let lines = || sums.lines().map(|line| line.split_once("  ").expect("a digest and a name"));
        for (digest, file) in lines() {
            assert_eq!(sha256(&bytes(file).unwrap_or_else(|| panic!("{file} is there"))), digest, "{file}");
        }
        let noted: BTreeSet<String> =
            lines().map(|(_, file)| file.to_owned()).chain(["SHA256SUMS".to_owned()]).collect();
        let there: BTreeSet<String> = Weights::iter().map(|file| file.to_string()).collect();
        assert_eq!(noted, there, "each file is noted, and no other");
    }

    #[test]
    fn the_entry_fits_the_autoencoder() {
        let info = read().expect("the entry is good");
        let wrong = ModelInfo { latent_factor: info.latent_factor * 2, ..info };
        let error = fits(&wrong).expect_err("another factor");
        assert!(error.message.contains("latentFactor is 16 and the autoencoder's 8"), "{error}");
    }
}

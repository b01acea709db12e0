//! Which files of a repository a model needs, and whether those that are known are the ones that are known.

use super::PullError;
use crate::models::{
    hub::{Digest, Listed, Listing},
    published::{self, Precision, Published},
};

/// A file to fetch, and its place in the model's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub listed: Listed,
    pub to: String,
}

/// The files of `listing` that `entry` needs.
///
/// # Errors
/// A component has no weights that can be read, a configuration is missing, or a known file is another one.
pub(super) fn select(entry: &Published, listing: &Listing, precision: Precision) -> Result<Vec<Chosen>, PullError> {
    let paths: Vec<&str> = listing.files.iter().map(|file| file.path.as_str()).collect();
    let lacks = |what: String| PullError::Incomplete { repository: entry.repository.clone().unwrap_or_default(), what };
    let chosen = published::select(entry, &paths, precision).map_err(lacks)?;
    let listed = |file: published::Chosen| {
        let listed = listing.files.get(file.index)?.clone();
        Some(Chosen { listed, to: file.to })
    };
    let chosen: Vec<Chosen> = chosen.into_iter().filter_map(listed).collect();
    for pin in &entry.pinned {
        let same =
            |file: &Chosen| file.listed.path != pin.path || Some(file.listed.digest) == Digest::from_hex(&pin.sha256);
        if !chosen.iter().all(same) {
            return Err(PullError::Replaced { file: pin.path.clone() });
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_file_that_is_another_one_is_refused() {
        let paths = ["config.json", "diffusion_pytorch_model.safetensors"];
        let file = |path: &&str| Listed { path: (*path).to_owned(), size: 1, digest: Digest::None };
        let listing = Listing { commit: "c".to_owned(), files: paths.iter().map(file).collect() };
        let mut entry = Published::find("taesd").expect("an entry").clone();
        assert_eq!(select(&entry, &listing, Precision::Fp16).expect("chosen").len(), 2);
        entry.pinned = vec![published::Pinned { path: paths[1].to_owned(), sha256: "0".repeat(64) }];
        let error = select(&entry, &listing, Precision::Fp16).expect_err("another file");
        assert!(matches!(error, PullError::Replaced { .. }), "{error}");
    }
}

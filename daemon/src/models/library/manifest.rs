//! What a pulled model's folder says of its origin. Written last, so that it stands for the whole.

use crate::models::published::Precision;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// The manifest's name in a model's folder.
pub(crate) const MANIFEST: &str = "fresco-pull.json";
/// No manifest is longer.
const LONGEST: u64 = 4 << 20;

/// Where a model came from and what was checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The published entry.
    pub id: String,
    /// `owner/name` on the hub.
    pub repository: String,
    /// The commit that was fetched.
    pub commit: String,
    /// Which of its weights.
    pub precision: Precision,
    /// What may be done with it.
    pub licence: String,
    /// Its files.
    pub files: Vec<ManifestFile>,
}

/// One file of a pulled model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestFile {
    /// Its path in the folder.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// What its bytes were compared with: `sha256`, `git sha1` or `length only`.
    pub checked: String,
    /// The digest in hexadecimal digits.
    pub digest: String,
}

impl Manifest {
    /// A folder's manifest, if it has a usable one.
    pub fn read(folder: &Path) -> Option<Self> {
        let file = folder.join(MANIFEST);
        if fs::metadata(&file).ok()?.len() > LONGEST {
            return None;
        }
        serde_json::from_slice(&fs::read(file).ok()?).ok()
    }
}

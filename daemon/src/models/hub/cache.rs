//! The cache that the hub's own tools keep: what lies there and is right need not be fetched.
//!
//! Its layout is `models--OWNER--NAME/` with `refs/REVISION` (a commit), `snapshots/COMMIT/PATH` (links) and
//! `blobs/DIGEST`.

use super::{Digest, HubError, Listed, Listing, Repository, Settings, name};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A snapshot of a model has no more files.
const MOST_FILES: usize = 20_000;

impl Settings {
    fn cached(&self, repository: &Repository) -> Option<PathBuf> {
        let folder = format!("models--{}--{}", repository.owner, repository.name);
        Some(self.cache.as_ref()?.join(folder)).filter(|folder| folder.is_dir())
    }

    /// A cached file with exactly the listed bytes. Reads it through, which takes seconds for gigabytes.
    pub(crate) fn find_cached(&self, repository: &Repository, commit: &str, listed: &Listed) -> Option<PathBuf> {
        let folder = self.cached(repository)?;
        let blob = folder.join("blobs").join(listed.digest.hex());
        let linked = folder.join("snapshots").join(commit).join(&listed.path);
        let right = |file: &PathBuf| file.is_file() && listed.digest.fits(file, listed.size).unwrap_or(false);
        // Behind a link lies the file itself, which is what can be linked again.
        [blob, linked].into_iter().find(right).and_then(|file| file.canonicalize().ok())
    }
}

/// What the cache holds of a repository, as if the hub had listed it.
///
/// # Errors
/// It holds nothing of it.
pub(crate) fn cached_listing(settings: &Settings, repository: &Repository) -> Result<Listing, HubError> {
    let missing = || HubError::Offline { what: repository.full_name() };
    let folder = settings.cached(repository).ok_or_else(missing)?;
    let noted = fs::read_to_string(folder.join("refs").join(&repository.revision)).ok();
    let commit = noted.map_or_else(|| repository.revision.clone(), |text| text.trim().to_owned());
    let snapshot = folder.join("snapshots").join(&commit);
    if !name::is_plain(&commit) || !snapshot.is_dir() {
        return Err(missing());
    }
    let mut files = Vec::new();
    walk(&snapshot, "", &mut files).map_err(|error| HubError::disk(&snapshot, error))?;
    Ok(Listing { commit, files })
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<Listed>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // A link that leads nowhere is a file that was never fetched.
        let Ok(found) = fs::metadata(entry.path()) else { continue };
        if found.is_dir() && entry.file_type()?.is_dir() && prefix.matches('/').count() < 8 {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if found.is_file() && name::check(&path).is_ok() && files.len() < MOST_FILES {
            let blob = entry.path().canonicalize()?;
            let digest = blob.file_name().and_then(|name| Digest::from_hex(&name.to_string_lossy()));
            files.push(Listed { path, size: found.len(), digest: digest.unwrap_or(Digest::None) });
        }
    }
    Ok(())
}

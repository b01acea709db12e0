//! From checked files to a model's folder, which appears by one rename when everything in it is on the disk.

use super::{Chosen, PullError};
use crate::models::{
    folder::INFO,
    hub::{HubError, Listed, Listing, Repository, sync_folder, write_whole},
    library::{Library, MANIFEST, Manifest, ManifestFile},
    published::{Precision, Published},
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// What the folder will say of its origin.
pub(super) fn manifest(
    entry: &Published,
    repository: &Repository,
    listing: &Listing,
    precision: Precision,
    chosen: &[Chosen],
) -> Manifest {
    let file = |Chosen { listed, to }: &Chosen| ManifestFile {
        path: to.clone(),
        size: listed.size,
        checked: listed.digest.to_string(),
        digest: listed.digest.hex(),
    };
    Manifest {
        id: entry.id.0.clone(),
        repository: repository.full_name(),
        commit: listing.commit.clone(),
        precision,
        licence: entry.licence.name.clone(),
        files: chosen.iter().map(file).collect(),
    }
}

/// Puts the files into a folder beside the shelf's others, its manifest last, and renames it into sight.
pub(super) fn assemble(
    library: &Library,
    entry: &Published,
    manifest: &Manifest,
    chosen: &[Chosen],
    blob: impl Fn(&Listed) -> PathBuf,
) -> Result<PathBuf, PullError> {
    let place = library.place(&entry.id.0)?;
    let aside = library.aside(".new", &entry.id.0);
    let build = || -> io::Result<()> {
        for Chosen { listed, to } in chosen {
            let target = aside.join(to);
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            link_or_copy(&blob(listed), &target)?;
            sync_folder(&target)?;
        }
        if let Some(info) = entry.info() {
            write_whole(&aside.join(INFO), &serde_json::to_vec_pretty(&info)?)?;
        }
        write_whole(&aside.join(MANIFEST), &serde_json::to_vec_pretty(manifest)?)?;
        fs::rename(&aside, &place)?;
        sync_folder(&place)
    };
    build().map_err(|error| HubError::disk(&place, error))?;
    Ok(place)
}

/// The same bytes under another name: linked where the disk can, otherwise copied.
pub(super) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let beside = to.with_added_extension("new");
    fs::copy(from, &beside)?;
    File::open(&beside)?.sync_all()?;
    fs::rename(&beside, to)
}

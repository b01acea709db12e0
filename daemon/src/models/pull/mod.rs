//! Fetching a published model: list, choose, look into the cache, check the room, fetch, assemble, show.

mod assemble;
mod select;

use super::{
    hub::{Digest, Hub, HubError, Listed, Listing, Repository, Watch, cached_listing, sha256},
    library::{Library, LibraryError, Manifest},
    published::{Precision, Published, source},
    space::free_bytes,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use select::{Chosen, select};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// Room that must be left on the disk.
const SPARE: u64 = 64 << 20;

/// A model that could not be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The hub.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The shelf.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// No such entry.
    #[error("there is no model {0:?} to pull; `fresco models list` shows those there are")]
    Unknown(String),
    /// It is inside the program.
    #[error("{0} is part of the program; there is nothing to pull")]
    BuiltIn(String),
    /// It is there, in the other precision.
    #[error("{id} is installed with its {there} weights; `fresco models rm {id}` first, to have the others")]
    OtherPrecision {
        /// The model.
        id: String,
        /// What is there.
        there: Precision,
    },
    /// The repository is not as the entry expects.
    #[error("{repository} has no {what}; it was changed since this version of Fresco was made")]
    Incomplete {
        /// `owner/name`.
        repository: String,
        /// What is missing.
        what: String,
    },
    /// A file whose content is known is another one.
    #[error("{file} on the hub is not the file that this version of Fresco knows; it is not fetched")]
    Replaced {
        /// Its path.
        file: String,
    },
    /// The disk is too full.
    #[error("{place} has {free} bytes free and {need} are needed; make room or choose another place with --home")]
    Space {
        /// Where.
        place: String,
        /// Bytes free.
        free: u64,
        /// Bytes needed.
        need: u64,
    },
}

/// What a pull will do, told before the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Files of the model.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of them that still have to come.
    pub missing: u64,
}

/// A pulled model.
#[derive(Debug)]
pub struct Pulled {
    /// Where it is.
    pub place: PathBuf,
    /// What it is made of.
    pub manifest: Manifest,
    /// It was there already.
    pub was_there: bool,
}

/// Whoever follows a pull.
pub trait Follow: Watch {
    /// What will be done.
    fn planned(&self, plan: Plan);
}

/// Fetches a model and puts it on the shelf. May be dropped or killed at any moment; the same call goes on.
///
/// # Errors
/// As [`PullError`] says; nothing appears on the shelf then, and what came is kept.
pub async fn pull(
    library: &Library,
    hub: &Hub,
    id: &str,
    precision: Precision,
    follow: &dyn Follow,
) -> Result<Pulled, PullError> {
    let entry = Published::find(id).ok_or_else(|| PullError::Unknown(id.chars().take(80).collect()))?;
    let repository = source(entry)?.ok_or_else(|| PullError::BuiltIn(entry.id.0.clone()))?;
    let _lock = library.lock()?;
    if let Some(there) = installed(library, entry, precision)? {
        return Ok(there);
    }
    let listing = match hub.settings().offline {
        true => cached_listing(hub.settings(), &repository)?,
        false => hub.list(&repository).await?,
    };
    let chosen = select(entry, &listing, precision)?;
    let staging = Staging { folder: library.staging(), repository: &repository, listing: &listing };
    let missing = staging.take_cached(hub, &chosen, follow).await?;
    follow.planned(Plan {
        files: chosen.len(),
        bytes: chosen.iter().map(|file| file.listed.size).sum(),
        missing: staging.bytes_to_come(&missing),
    });
    if let (true, Some(first)) = (hub.settings().offline, missing.first()) {
        return Err(HubError::Offline { what: format!("{} of {}", first.path, repository.full_name()) }.into());
    }
    staging.check_room(&missing)?;
    staging.fetch(hub, &missing, follow).await?;
    let manifest = assemble::manifest(entry, &repository, &listing, precision, &chosen);
    let place = assemble::assemble(library, entry, &manifest, &chosen, |listed| staging.blob(listed))?;
    for file in &chosen {
        _ = fs::remove_file(staging.blob(&file.listed));
    }
    Ok(Pulled { place, manifest, was_there: false })
}

fn installed(library: &Library, entry: &Published, precision: Precision) -> Result<Option<Pulled>, PullError> {
    let id = &entry.id.0;
    let place = library.place(id)?;
    if place.symlink_metadata().is_err() {
        return Ok(None);
    }
    match Manifest::read(&place) {
        Some(manifest) if manifest.id == *id && manifest.precision == precision => {
            Ok(Some(Pulled { place, manifest, was_there: true }))
        }
        Some(manifest) if manifest.id == *id => {
            Err(PullError::OtherPrecision { id: id.clone(), there: manifest.precision })
        }
        _ => Err(LibraryError::Taken(id.clone()).into()),
    }
}

/// Files on their way, each under the name of its content: what another commit or model shares is fetched once.
struct Staging<'a> {
    folder: PathBuf,
    repository: &'a Repository,
    listing: &'a Listing,
}

impl Staging<'_> {
    fn blob(&self, listed: &Listed) -> PathBuf {
        let name = match listed.digest {
            Digest::Sha256(_) => format!("sha256-{}", listed.digest.hex()),
            Digest::Git(_) => format!("git-{}", listed.digest.hex()),
            Digest::None => {
                let named = format!("{} {} {}", self.repository.full_name(), self.listing.commit, listed.path);
                format!("name-{}", sha256(named.as_bytes()))
            }
        };
        self.folder.join(name)
    }

    /// Links what the cache has, and tells what is missing. Each content is named once.
    async fn take_cached(&self, hub: &Hub, chosen: &[Chosen], watch: &dyn Follow) -> Result<Vec<Listed>, HubError> {
        let mut missing = Vec::new();
        let mut seen = HashSet::new();
        for Chosen { listed, .. } in chosen {
            let blob = self.blob(listed);
            if !seen.insert(blob.clone()) {
                continue;
            }
            let there = fs::metadata(&blob).is_ok_and(|found| found.len() == listed.size);
            if there || self.link_cached(hub, listed, &blob).await? {
                watch.finished(listed, true);
            } else {
                missing.push(listed.clone());
            }
        }
        Ok(missing)
    }

    async fn link_cached(&self, hub: &Hub, listed: &Listed, blob: &Path) -> Result<bool, HubError> {
        let (settings, repository) = (hub.settings().clone(), self.repository.clone());
        let (commit, file) = (self.listing.commit.clone(), listed.clone());
        // Gigabytes may be read through.
        let found = tokio::task::spawn_blocking(move || settings.find_cached(&repository, &commit, &file)).await;
        let Ok(Some(cached)) = found else { return Ok(false) };
        assemble::link_or_copy(&cached, blob).map_err(|error| HubError::disk(blob, error))?;
        Ok(true)
    }

    fn bytes_to_come(&self, missing: &[Listed]) -> u64 {
        let part = |listed: &Listed| {
            let part = self.blob(listed).with_added_extension("part");
            listed.size.saturating_sub(fs::metadata(part).map_or(0, |found| found.len()))
        };
        missing.iter().map(part).sum()
    }

    fn check_room(&self, missing: &[Listed]) -> Result<(), PullError> {
        let need = self.bytes_to_come(missing).saturating_add(SPARE);
        match free_bytes(&self.folder) {
            Some(free) if free < need && !missing.is_empty() => {
                Err(PullError::Space { place: self.folder.display().to_string(), free, need })
            }
            _ => Ok(()),
        }
    }

    async fn fetch(&self, hub: &Hub, missing: &[Listed], watch: &dyn Follow) -> Result<(), HubError> {
        let one = |listed: &Listed| {
            let (listed, blob) = (listed.clone(), self.blob(listed));
            async move { hub.fetch(self.repository, &self.listing.commit, &listed, &blob, watch).await }
        };
        let at_once = hub.settings().at_once.max(1);
        stream::iter(missing.iter().map(one)).buffer_unordered(at_once).try_collect().await
    }
}

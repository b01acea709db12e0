//! Models on this machine's disk: the shelf `FRESCO_HOME/models`, and the user's own folders (`MODEL_PATH`).
//!
//! A model appears on the shelf by one rename and leaves it by one rename, so that nobody sees half of it.
//! Names on the shelf that begin with a dot are this room's own: `.pull` (files on their way), `.new-*` and `.old-*`.

mod import;
mod manifest;
mod scan;

pub use import::Imported;
pub(crate) use manifest::MANIFEST;
pub use manifest::{Manifest, ManifestFile};
pub(in crate::models) use scan::is_weights;
pub use scan::{Found, FoundKind};

use super::hub::name;
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What cannot be done with the library.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// No model of that name.
    #[error("there is no model {0:?} in {1}")]
    Unknown(String, String),
    /// The name belongs to somebody.
    #[error("{0:?} is there already; remove it first with `fresco models rm {0}`")]
    Taken(String),
    /// A name that is no name of a folder.
    #[error("{0:?} cannot be a model's name")]
    BadName(String),
    /// A path that is no model.
    #[error("{path}: {reason}")]
    NoModel {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// Another program is changing the shelf.
    #[error("another pull or import is at work in {0}; wait for it or stop it")]
    Busy(String),
    /// The disk.
    #[error("{path}: {error}")]
    Disk {
        /// The path.
        path: String,
        /// What the system said.
        error: io::Error,
    },
}

impl LibraryError {
    fn disk(path: &Path, error: io::Error) -> Self {
        Self::Disk { path: path.display().to_string(), error }
    }

    fn no_model(path: &Path, reason: impl Into<String>) -> Self {
        Self::NoModel { path: path.display().to_string(), reason: reason.into() }
    }
}

/// A part of a file that was not touched for so long belongs to a pull that nobody goes on with.
const ABANDONED: Duration = Duration::from_hours(24 * 30);

/// The shelf and the user's own folders.
#[derive(Clone, Debug)]
pub struct Library {
    shelf: PathBuf,
    roots: Vec<PathBuf>,
}

/// The right to change the shelf; given back when dropped, or by the system when the program is killed.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Library {
    /// The shelf in `home`, and `roots` to look through besides.
    pub fn new(home: &Path, roots: Vec<PathBuf>) -> Self {
        Self { shelf: home.join("models"), roots }
    }

    /// Where models are put.
    pub fn shelf(&self) -> &Path {
        &self.shelf
    }

    /// Where a model of this name lies or would lie.
    ///
    /// # Errors
    /// The name cannot be that of a folder.
    pub fn place(&self, id: &str) -> Result<PathBuf, LibraryError> {
        let plain = name::is_plain(id) && !id.starts_with('.') && !id.contains('/');
        if plain { Ok(self.shelf.join(id)) } else { Err(LibraryError::BadName(id.chars().take(80).collect())) }
    }

    /// Everything that looks like a model, the shelf first.
    pub fn found(&self) -> Vec<Found> {
        // Somebody may name the shelf among his own folders.
        let roots = self.roots.iter().filter(|root| **root != self.shelf);
        scan::shelf(&self.shelf).into_iter().chain(roots.flat_map(|root| scan::root(root))).collect()
    }

    /// Takes a model off the shelf. Of a link only the link goes; what it points to stays.
    ///
    /// # Errors
    /// There is no such model on the shelf, or the disk refuses.
    pub fn remove(&self, id: &str) -> Result<PathBuf, LibraryError> {
        let unknown = || LibraryError::Unknown(id.to_owned(), self.shelf.display().to_string());
        let place = self.place(id)?;
        let found = scan::shelf(&self.shelf).into_iter().find(|found| found.id == id || found.path == place);
        let place = found.map(|found| found.path).or_else(|| place.symlink_metadata().is_ok().then_some(place));
        let place = place.ok_or_else(unknown)?;
        let _lock = self.lock()?;
        let kind = place.symlink_metadata().map_err(|error| LibraryError::disk(&place, error))?.file_type();
        let remove = || -> io::Result<()> {
            if !kind.is_dir() {
                return fs::remove_file(&place);
            }
            // Gone from sight at once; a kill in between leaves what the next change clears away.
            let aside = self.aside(".old", id);
            fs::rename(&place, &aside)?;
            fs::remove_dir_all(&aside)
        };
        remove().map_err(|error| LibraryError::disk(&place, error))?;
        Ok(place)
    }

    /// Makes the shelf and keeps others from changing it. Clears away what a killed program left.
    pub(crate) fn lock(&self) -> Result<Lock, LibraryError> {
        let staging = self.staging();
        fs::create_dir_all(&staging).map_err(|error| LibraryError::disk(&staging, error))?;
        let path = staging.join("lock");
        let file = File::create(&path).map_err(|error| LibraryError::disk(&path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LibraryError::Busy(self.shelf.display().to_string())),
            // A file system without locks: nobody else can be told apart.
            Err(TryLockError::Error(_)) => {}
        }
        forget_abandoned(&staging, SystemTime::now());
        for entry in fs::read_dir(&self.shelf).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let left = [".new-", ".old-"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix));
            if left && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                _ = fs::remove_dir_all(entry.path());
            } else if left {
                _ = fs::remove_file(entry.path());
            }
        }
        Ok(Lock { _file: file })
    }

    /// Where files on their way are.
    pub(crate) fn staging(&self) -> PathBuf {
        self.shelf.join(".pull")
    }

    /// A hidden name beside a model's.
    pub(crate) fn aside(&self, prefix: &str, id: &str) -> PathBuf {
        self.shelf.join(format!("{prefix}-{id}"))
    }
}

/// Removes files on their way whose pull nobody went on with.
fn forget_abandoned(staging: &Path, now: SystemTime) {
    for entry in fs::read_dir(staging).into_iter().flatten().flatten() {
        let Ok(found) = entry.metadata() else { continue };
        let age = found.modified().ok().and_then(|then| now.duration_since(then).ok());
        if found.is_file() && entry.file_name() != "lock" && age.is_some_and(|age| age > ABANDONED) {
            _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_nobody_goes_on_with_are_forgotten() {
        let home = std::env::temp_dir().join(format!("fresco-abandoned-{}", std::process::id()));
        let library = Library::new(&home, Vec::new());
        drop(library.lock().expect("the shelf is free"));
        let now = SystemTime::now();
        for (name, days) in
            [("sha256-old.part", 31), ("sha256-old.part.json", 31), ("sha256-new.part", 29), ("lock", 99)]
        {
            let file = File::create(library.staging().join(name)).expect("a file");
            file.set_modified(now - Duration::from_hours(24 * days)).expect("a time");
        }
        drop(library.lock().expect("the shelf is free"));
        let mut left: Vec<String> = fs::read_dir(library.staging())
            .expect("the folder")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["lock", "sha256-new.part"]);
        fs::remove_dir_all(home).expect("is removed");
    }
}

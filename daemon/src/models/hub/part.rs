//! A file on its way: `NAME.part` holds what came, `NAME.part.json` the version that it came from.
//!
//! A finished file is synced and renamed to `NAME`, so that a kill at any moment leaves a part or a whole file.

use super::{
    HubError, Listed,
    digest::{Hasher, read_through},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The version of a file that a part was cut from, as the server named it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Version {
    etag: Option<String>,
}

/// A file on its way.
pub(super) struct Part {
    file: File,
    part: PathBuf,
    note: PathBuf,
    whole: PathBuf,
    fresh: Hasher,
    hasher: Hasher,
    version: Version,
    /// Bytes that are there.
    pub have: u64,
}

impl Part {
    /// Opens or begins the part of the file `whole`, and reads through what is there.
    pub fn open(whole: &Path, listed: &Listed) -> Result<Self, HubError> {
        let (part, note) = (ending(whole, ".part"), ending(whole, ".part.json"));
        let open = || -> io::Result<(File, Hasher, u64)> {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(&part)?;
            let (mut hasher, mut have) = (listed.digest.hasher(listed.size), 0);
            if file.metadata()?.len() > listed.size {
                file.set_len(0)?;
            }
            read_through(&mut file, |bytes| {
                hasher.update(bytes);
                have += bytes.len() as u64;
            })?;
            Ok((file, hasher, have))
        };
        let (file, hasher, have) = open().map_err(|error| HubError::disk(&part, error))?;
        let version = fs::read(&note).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let (whole, fresh) = (whole.to_owned(), listed.digest.hasher(listed.size));
        Ok(Self { file, part, note, whole, fresh, hasher, version, have })
    }

    /// The version that the part was cut from.
    pub fn etag(&self) -> Option<&str> {
        self.version.etag.as_deref()
    }

    /// Notes the version that is being fetched, before its first byte is kept.
    pub fn note(&mut self, etag: Option<&str>) -> Result<(), HubError> {
        if self.version.etag.as_deref() == etag {
            return Ok(());
        }
        self.version.etag = etag.map(str::to_owned);
        let text = serde_json::to_vec(&self.version).unwrap_or_default();
        write_whole(&self.note, &text).map_err(|error| HubError::disk(&self.note, error))
    }

    /// Keeps bytes that came.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(|error| HubError::disk(&self.part, error))?;
        self.hasher.update(bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what came.
    pub fn restart(&mut self) -> Result<(), HubError> {
        self.file.set_len(0).map_err(|error| HubError::disk(&self.part, error))?;
        self.hasher = self.fresh.clone();
        self.have = 0;
        self.note(None)
    }

    /// Makes the part a whole file if it is what was listed; otherwise forgets it and says false.
    pub fn finish(&mut self, listed: &Listed) -> Result<bool, HubError> {
        if self.have != listed.size || self.hasher.clone().finish() != listed.digest {
            self.restart()?;
            return Ok(false);
        }
        let finish = || -> io::Result<()> {
            self.file.sync_all()?;
            fs::rename(&self.part, &self.whole)?;
            sync_folder(&self.whole)
        };
        finish().map_err(|error| HubError::disk(&self.whole, error))?;
        _ = fs::remove_file(&self.note);
        Ok(true)
    }

    /// Removes the part: nothing of it can be used.
    pub fn discard(self) {
        _ = fs::remove_file(&self.part);
        _ = fs::remove_file(&self.note);
    }
}

/// A small file that is there as a whole or not at all.
pub(crate) fn write_whole(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = ending(file, ".new");
    let mut opened = File::create(&beside)?;
    opened.write_all(bytes)?;
    opened.sync_all()?;
    fs::rename(&beside, file)?;
    sync_folder(file)
}

/// A rename lasts once the folder that holds the name is on the disk.
pub(crate) fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn ending(file: &Path, more: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(more);
    name.into()
}

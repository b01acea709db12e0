//! Blobs in a folder, durable once they are written: file and folder are on the disk before their name counts.
//!
//! `sha256/ab/abcd…` has them by name, `tmp` what is being written. These calls block.

use super::BlobHash;
use crate::crash;
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    root: PathBuf,
}

impl Disk {
    /// Opens the folder; makes it where it is missing.
    pub fn open(root: &Path) -> io::Result<Self> {
        let disk = Self { root: root.to_owned() };
        fs::create_dir_all(disk.hashes())?;
        fs::create_dir_all(disk.temporary())?;
        sync_folder(&disk.root)?;
        Ok(disk)
    }

    /// Removes what a crash left half written. Whatever is being written meanwhile fails.
    pub fn sweep(&self) -> io::Result<()> {
        fs::read_dir(self.temporary())?.flatten().try_for_each(|stray| fs::remove_file(stray.path()))
    }

    /// Writes a blob, unless it is there. It survives a power cut once this has returned.
    pub fn write(&self, hash: &BlobHash, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(hash);
        let folder = self.fan(hash);
        if !self.holds(hash, bytes.len() as u64) {
            if !folder.is_dir() {
                fs::create_dir_all(&folder)?;
                sync_folder(&self.hashes())?;
            }
            let temporary = self.temporary().join(Uuid::now_v7().to_string());
            let written = write_through(&temporary, bytes).and_then(|()| {
                crash::at(crash::Seam::MidBlob);
                fs::rename(&temporary, &path)
            });
            if let Err(error) = written {
                // What is left is swept when the folder is opened.
                _ = fs::remove_file(&temporary);
                return Err(error);
            }
        }
        // Also for a blob that was there: whoever wrote it may not have come so far.
        sync_folder(&folder)
    }

    /// All of a blob, or nothing when it is not here.
    pub fn read(&self, hash: &BlobHash) -> io::Result<Option<Vec<u8>>> {
        found(fs::read(self.path(hash)))
    }

    /// A part of a blob, as far as it goes; nothing when the blob is not here.
    pub fn read_range(&self, hash: &BlobHash, range: Range<u64>) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = found(File::open(self.path(hash)))? else { return Ok(None) };
        file.seek(SeekFrom::Start(range.start))?;
        let mut part = Vec::new();
        file.take(range.end.saturating_sub(range.start)).read_to_end(&mut part)?;
        Ok(Some(part))
    }

    /// Whether a blob is here.
    pub fn contains(&self, hash: &BlobHash) -> bool {
        self.path(hash).is_file()
    }

    /// Removes a blob; whether there was one.
    pub fn remove(&self, hash: &BlobHash) -> io::Result<bool> {
        let removed = found(fs::remove_file(self.path(hash)))?.is_some();
        if removed {
            sync_folder(&self.fan(hash))?;
        }
        Ok(removed)
    }

    /// Every blob that is here, in no order, with the time it was written.
    pub fn list(&self) -> io::Result<Vec<(BlobHash, std::time::SystemTime)>> {
        let mut blobs = Vec::new();
        for fan in fs::read_dir(self.hashes())?.flatten() {
            for entry in fs::read_dir(fan.path()).into_iter().flatten().flatten() {
                let hash = entry.file_name().to_str().and_then(|name| name.parse().ok());
                let written = entry.metadata().and_then(|found| found.modified());
                if let (Some(hash), Ok(written)) = (hash, written) {
                    blobs.push((hash, written));
                }
            }
        }
        Ok(blobs)
    }

    fn holds(&self, hash: &BlobHash, length: u64) -> bool {
        fs::metadata(self.path(hash)).is_ok_and(|found| found.is_file() && found.len() == length)
    }

    fn hashes(&self) -> PathBuf {
        self.root.join("sha256")
    }

    fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn fan(&self, hash: &BlobHash) -> PathBuf {
        self.hashes().join(&hash.to_string()[..2])
    }

    fn path(&self, hash: &BlobHash) -> PathBuf {
        self.fan(hash).join(hash.to_string())
    }
}

/// Writes a file and waits until the disk has it.
fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Waits until the disk has a folder's entries. Only Unix can; elsewhere the file system orders them itself.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Something that may not be there.
fn found<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

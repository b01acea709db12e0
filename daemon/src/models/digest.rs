//! What a file's bytes are, computed once for each content that it has.

use super::fingerprint::Fingerprint;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fmt::Write,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// So much is read at a time.
const PIECE: usize = 1 << 20;

/// Digests of files, remembered as long as the files do not change.
#[derive(Debug, Default)]
pub(super) struct Digests(Mutex<HashMap<PathBuf, (Fingerprint, String)>>);

impl Digests {
    /// A file's SHA-256 as `sha256:…`. Reads the whole file when it was not read before.
    pub fn of(&self, path: &Path) -> io::Result<String> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Fingerprint::of_file(path);
        if let Some((then, digest)) = known().get(path)
            && *then == now
        {
            return Ok(digest.clone());
        }
        let digest = read(path)?;
        known().insert(path.to_owned(), (now, digest.clone()));
        Ok(digest)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher, mut piece) = (File::open(path)?, Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            length => hasher.update(&piece[..length]),
        }
    }
    Ok(hasher.finalize().iter().fold("sha256:".to_owned(), |mut text, byte| {
        // A string takes everything.
        _ = write!(text, "{byte:02x}");
        text
    }))
}

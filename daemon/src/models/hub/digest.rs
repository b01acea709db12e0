//! What a file's bytes must be: SHA-256 for large files, git's object name for small ones.

use super::sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// How a listing names a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digest {
    /// Of files in large file storage: every file of weights.
    Sha256([u8; 32]),
    /// Git's name of a blob: SHA-1 of `blob LENGTH\0` and the bytes. It finds damage, not a forger.
    Git([u8; 20]),
    /// The listing names nothing: only the length is checked.
    None,
}

impl Digest {
    /// From 64 or 40 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        match text.len() {
            64 => bytes(text).map(Digest::Sha256),
            40 => bytes(text).map(Digest::Git),
            _ => None,
        }
    }

    /// The digits.
    pub fn hex(&self) -> String {
        match self {
            Digest::Sha256(digest) => hex(digest),
            Digest::Git(digest) => hex(digest),
            Digest::None => String::new(),
        }
    }

    /// A running digest of the same kind, for a file of `size` bytes.
    pub(super) fn hasher(&self, size: u64) -> Hasher {
        match self {
            Digest::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Digest::Git(_) => {
                let mut sha1 = Sha1::new();
                sha1.update(format!("blob {size}\0").as_bytes());
                Hasher::Git(sha1)
            }
            Digest::None => Hasher::None,
        }
    }

    /// Whether a file on disk has this length and content.
    pub(crate) fn fits(&self, file: &Path, size: u64) -> io::Result<bool> {
        let mut opened = File::open(file)?;
        if opened.metadata()?.len() != size {
            return Ok(false);
        }
        let mut hasher = self.hasher(size);
        read_through(&mut opened, |bytes| hasher.update(bytes))?;
        Ok(hasher.finish() == *self)
    }
}

/// What was checked, for people.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Digest::Sha256(_) => "sha256",
            Digest::Git(_) => "git sha1",
            Digest::None => "length only",
        })
    }
}

/// A digest that grows with the bytes that arrive.
#[derive(Clone)]
pub(super) enum Hasher {
    Sha256(Sha256),
    Git(Sha1),
    None,
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(sha256) => sha256.update(bytes),
            Hasher::Git(sha1) => sha1.update(bytes),
            Hasher::None => {}
        }
    }

    pub fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(sha256) => Digest::Sha256(sha256.finalize().into()),
            Hasher::Git(sha1) => Digest::Git(sha1.finish()),
            Hasher::None => Digest::None,
        }
    }
}

/// The SHA-256 of some bytes in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Git's name of a blob in hexadecimal digits.
pub fn git_blob(bytes: &[u8]) -> String {
    let mut hasher = Digest::Git([0; 20]).hasher(bytes.len() as u64);
    hasher.update(bytes);
    hasher.finish().hex()
}

/// Gives a file's bytes in pieces.
pub(super) fn read_through(file: &mut impl Read, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => each(piece.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let pairs: Vec<u8> = digits?.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
    pairs.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_examples_come_out() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let sha1 = |text: &[u8]| {
            let mut hasher = Sha1::new();
            hasher.update(text);
            hex(&hasher.finish())
        };
        assert_eq!(sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sha1(&vec![b'a'; 1_000_000]), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
        // `git hash-object` of an empty file and of "hello\n".
        assert_eq!(git_blob(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(git_blob(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn digits_come_back_and_others_are_refused() {
        for text in [sha256(b"x"), git_blob(b"x")] {
            assert_eq!(Digest::from_hex(&text).map(|digest| digest.hex()), Some(text));
        }
        for text in ["", "abc", &"g".repeat(64), &"é".repeat(32), "+1".repeat(20).as_str()] {
            assert_eq!(Digest::from_hex(text), None, "{text}");
        }
    }
}

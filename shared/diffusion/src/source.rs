//! Where a model's files come from: byte ranges of named files.

use crate::weights::Listing;
use std::{future::Future, ops::Range};

/// A file of a model that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct SourceError {
    /// The file, relative to the model's folder.
    pub file: String,
    /// Why.
    pub reason: String,
}

impl SourceError {
    /// `file` cannot be read, and why.
    pub fn new(file: &str, reason: impl std::fmt::Display) -> Self {
        Self { file: file.to_owned(), reason: reason.to_string() }
    }
}

/// A model folder: on disk, behind HTTP, in memory.
///
/// Paths are relative with `/` between parts, such as `unet/config.json`.
pub trait Source {
    /// The file's length in bytes, or `None` when there is no such file.
    fn len(&self, file: &str) -> impl Future<Output = Result<Option<u64>, SourceError>>;

    /// Exactly the bytes of `range`, which lies within the file.
    fn read(&self, file: &str, range: Range<u64>) -> impl Future<Output = Result<Vec<u8>, SourceError>>;

    /// The tensors of a weights file, where the source knows them without reading a header there.
    fn listing(&self, _file: &str) -> Option<&Listing> {
        None
    }
}

impl<S: Source> Source for &S {
    fn len(&self, file: &str) -> impl Future<Output = Result<Option<u64>, SourceError>> {
        (**self).len(file)
    }

    fn read(&self, file: &str, range: Range<u64>) -> impl Future<Output = Result<Vec<u8>, SourceError>> {
        (**self).read(file, range)
    }

    fn listing(&self, file: &str) -> Option<&Listing> {
        (**self).listing(file)
    }
}

//! A model folder held in memory, which a test can damage.

use fresco_diffusion::{Source, SourceError};
use std::{collections::BTreeMap, ops::Range};

/// Files by path.
#[derive(Clone, Default)]
pub struct Memory {
    files: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    /// A folder of these files.
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        Self { files: files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect() }
    }

    /// A file's bytes, to change them.
    pub fn file(&mut self, name: &str) -> &mut Vec<u8> {
        self.files.entry(name.to_owned()).or_default()
    }

    /// The folder without a file.
    pub fn without(mut self, name: &str) -> Self {
        self.files.remove(name);
        self
    }
}

impl Source for Memory {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        Ok(self.files.get(file).map(|bytes| bytes.len() as u64))
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        let bytes = self.files.get(file).ok_or_else(|| SourceError::new(file, "the file is missing"))?;
        let part = bytes.get(range.start as usize..range.end as usize);
        part.map(<[u8]>::to_vec).ok_or_else(|| SourceError::new(file, "is truncated"))
    }
}

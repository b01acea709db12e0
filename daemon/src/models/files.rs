//! Where a model's files are, as the loader reads them.

use super::{embedded, folder::Folder};
use fresco_api::ModelFile;
use fresco_diffusion::{Source, SourceError};
use std::{ops::Range, path::Path};

/// A model's files.
#[derive(Clone, Debug)]
pub enum ModelFiles {
    /// Inside the program.
    Embedded,
    /// On disk.
    Folder(Folder),
}

impl ModelFiles {
    /// The files below a folder, whatever it holds.
    pub fn of_folder(folder: &Path) -> Self {
        ModelFiles::Folder(Folder::at(folder))
    }

    /// The files whose content is known, which is those of a model that was fetched from a hub or is inside the
    /// program; `None` for others.
    pub fn listed(&self) -> Option<Vec<ModelFile>> {
        match self {
            ModelFiles::Embedded => Some(embedded::listed()),
            ModelFiles::Folder(folder) => folder.listed(),
        }
    }
}

impl Source for ModelFiles {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        match self {
            ModelFiles::Embedded => Ok(embedded::bytes(file).map(|bytes| bytes.len() as u64)),
            ModelFiles::Folder(folder) => folder.len(file),
        }
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        match self {
            ModelFiles::Embedded => {
                let bytes = embedded::bytes(file).ok_or_else(|| SourceError::new(file, "is missing"))?;
                let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
                let part = part.and_then(|(start, end)| bytes.get(start..end));
                part.map(<[u8]>::to_vec).ok_or_else(|| SourceError::new(file, "ends too early"))
            }
            ModelFiles::Folder(folder) => folder.read(file, range),
        }
    }
}

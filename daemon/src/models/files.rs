//! Where a model's files are, as the loader reads them.

use super::{embedded, folder::Folder, single::Composed};
use fresco_api::ModelFile;
use fresco_diffusion::{Source, SourceError, weights::Listing};
use std::{ops::Range, path::Path, sync::Arc};

/// A model's files.
#[derive(Clone, Debug)]
pub enum ModelFiles {
    /// Inside the program.
    Embedded,
    /// On disk.
    Folder(Folder),
    /// Single files, with what they lack from elsewhere.
    Composed(Arc<Composed>),
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
            // Put together of files that nobody checked.
            ModelFiles::Composed(_) => None,
        }
    }

    /// The folder that a file lies in, and the file's name there.
    pub fn of_file(file: &Path) -> (Self, String) {
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (Self::of_folder(parent), name)
    }
}

impl Source for ModelFiles {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        match self {
            ModelFiles::Embedded => Ok(embedded::length(file)),
            ModelFiles::Folder(folder) => folder.len(file),
            ModelFiles::Composed(composed) => composed.source().len(file).await,
        }
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        match self {
            ModelFiles::Embedded => embedded::part(file, range),
            ModelFiles::Folder(folder) => folder.read(file, range),
            ModelFiles::Composed(composed) => composed.source().read(file, range).await,
        }
    }

    fn listing(&self, file: &str) -> Option<&Listing> {
        match self {
            ModelFiles::Embedded | ModelFiles::Folder(_) => None,
            ModelFiles::Composed(composed) => composed.source().listing(file),
        }
    }
}

//! What a model's single files lack: a whole model, parts of other folders, or both.

use crate::models::{embedded, folder::Folder};
use fresco_diffusion::{Source, SourceError};
use std::{collections::BTreeMap, ops::Range, path::PathBuf};

/// The model that files are put into, where there is one.
#[derive(Clone, Debug, Default)]
pub enum Base {
    /// None: the files are the model.
    #[default]
    Nothing,
    /// The one inside the program.
    Embedded,
    /// A diffusers folder.
    Folder(Folder),
}

/// Parts by their folders' names, such as `tokenizer`, and everything else from the base.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    pub(super) base: Base,
    pub(super) parts: BTreeMap<String, PathBuf>,
}

impl Beside {
    /// The folder that has a file's part, and the file's name in it.
    fn part<'f>(&self, file: &'f str) -> Option<(Folder, &'f str)> {
        let (part, rest) = file.split_once('/')?;
        Some((Folder::at(self.parts.get(part)?), rest))
    }
}

impl Source for Beside {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        match (self.part(file), &self.base) {
            (Some((folder, inside)), _) => folder.len(inside).map_err(|error| SourceError::new(file, error.reason)),
            (None, Base::Nothing) => Ok(None),
            (None, Base::Embedded) => Ok(embedded::length(file)),
            (None, Base::Folder(folder)) => folder.len(file),
        }
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        match (self.part(file), &self.base) {
            (Some((folder, inside)), _) => {
                folder.read(inside, range).map_err(|error| SourceError::new(file, error.reason))
            }
            (None, Base::Nothing) => Err(SourceError::new(file, "is missing")),
            (None, Base::Embedded) => embedded::part(file, range),
            (None, Base::Folder(folder)) => folder.read(file, range),
        }
    }
}

//! Single files by their names, wherever each lies.

use crate::models::folder;
use fresco_diffusion::{Source, SourceError};
use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

/// Files by the names that errors show.
#[derive(Clone, Debug, Default)]
pub struct Named(BTreeMap<String, PathBuf>);

impl Named {
    /// These files, and their names in the same order: a file's own, with a number where another has it too.
    pub(super) fn new(paths: &[PathBuf]) -> (Self, Vec<String>) {
        let mut named = Self::default();
        let names = paths.iter().map(|path| named.add(path)).collect();
        (named, names)
    }

    fn add(&mut self, path: &Path) -> String {
        let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let numbered = (2..).map(|number: u32| format!("{own} ({number})"));
        let free = |name: &String| self.0.get(name).is_none_or(|taken| taken == path);
        let name = std::iter::once(own.clone()).chain(numbered).find(free).unwrap_or_default();
        self.0.insert(name.clone(), path.to_owned());
        name
    }
}

impl Source for Named {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        self.0.get(file).map_or(Ok(None), |path| folder::length(path, file))
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        let path = self.0.get(file).ok_or_else(|| SourceError::new(file, "is missing"))?;
        folder::part(path, file, range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_name_in_two_folders_are_two() {
        let paths = ["/a/model.safetensors", "/b/model.safetensors", "/a/model.safetensors"].map(PathBuf::from);
        let (_, names) = Named::new(&paths);
        assert_eq!(names, ["model.safetensors", "model.safetensors (2)", "model.safetensors"]);
    }
}

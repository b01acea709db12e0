//! The models that a request may name: the embedded one and diffusers folders on disk.

mod embedded;
mod files;
mod folder;

pub use files::ModelFiles;

use fresco_api::{ApiError, ErrorCode, ModelId, ModelInfo};
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

pub(crate) use embedded::Weights;

/// A model that can be loaded.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it takes.
    pub info: ModelInfo,
    /// Where its files are.
    pub files: ModelFiles,
}

/// A folder that looks like a model and is not one.
#[derive(Clone, Debug)]
pub struct BrokenModel {
    /// The name it would have.
    pub id: ModelId,
    /// What is wrong with it, with the file's name.
    pub error: ApiError,
}

/// A catalogue entry.
pub type Entry = Result<Arc<Model>, BrokenModel>;

/// Every model there is. Folders are looked at again on each call, so a new one needs no restart.
pub struct Catalogue {
    embedded: Option<Entry>,
    extra: Vec<PathBuf>,
    shelf: Option<PathBuf>,
    /// Folders that were good, by the time at which their index was written.
    known: Mutex<HashMap<PathBuf, (SystemTime, Arc<Model>)>>,
}

impl Catalogue {
    /// The embedded model, then `extra` folders, then those in `home/models`.
    pub fn new(home: &Path, extra: Vec<PathBuf>) -> Self {
        Self { embedded: Some(embedded::entry()), extra, shelf: Some(home.join("models")), known: Mutex::default() }
    }

    /// One folder and nothing else, so that no other model can stand in for it.
    pub fn of_folder(folder: PathBuf) -> Self {
        Self { embedded: None, extra: vec![folder], shelf: None, known: Mutex::default() }
    }

    /// Whether names mean entries here; a catalogue of one folder has only that.
    pub(crate) fn has_shelf(&self) -> bool {
        self.shelf.is_some()
    }

    /// Every entry, the default model first. Reads configuration files.
    pub fn list(&self) -> Vec<Entry> {
        let mut taken = HashSet::new();
        let mut entries: Vec<Entry> = self.embedded.iter().cloned().collect();
        taken.extend(entries.iter().map(|entry| id(entry).clone()));
        for path in self.folders() {
            let id = free_id(&path, &mut taken);
            entries.push(self.look(&path, id));
        }
        entries
    }

    /// A model by its name; the default model when there is none. May read configuration files.
    ///
    /// # Errors
    /// When there is no such model, or its folder is broken.
    pub fn find(&self, wanted: Option<&ModelId>) -> Result<Arc<Model>, ApiError> {
        // The embedded model is found without a look at the disk.
        if let Some(entry) = &self.embedded
            && wanted.is_none_or(|wanted| wanted == id(entry))
        {
            return entry.clone().map_err(|broken| broken.error);
        }
        let entries = self.list();
        let found = entries.iter().find(|entry| wanted.is_none_or(|wanted| wanted == id(entry)));
        match found {
            Some(entry) => entry.clone().map_err(|broken| broken.error),
            None => Err(unknown(wanted, &entries)),
        }
    }

    fn folders(&self) -> Vec<PathBuf> {
        let shelf = self.shelf.iter().filter_map(|shelf| fs::read_dir(shelf).ok());
        let mut shelved: Vec<PathBuf> = shelf
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join(folder::INDEX).is_file())
            .collect();
        shelved.sort();
        self.extra.iter().cloned().chain(shelved).collect()
    }

    fn look(&self, path: &Path, id: ModelId) -> Entry {
        let written = fs::metadata(path.join(folder::INDEX)).and_then(|index| index.modified()).ok();
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = known().get(path).cloned();
        if let Some((at, model)) = remembered
            && Some(at) == written
            && model.info.id == id
        {
            return Ok(model);
        }
        let model = folder::open(path, id.clone()).map_err(|error| BrokenModel { id, error })?;
        let model = Arc::new(model);
        if let Some(written) = written {
            known().insert(path.to_owned(), (written, model.clone()));
        }
        Ok(model)
    }
}

fn id(entry: &Entry) -> &ModelId {
    match entry {
        Ok(model) => &model.info.id,
        Err(broken) => &broken.id,
    }
}

/// The folder's name, with a number when another model has it already.
fn free_id(path: &Path, taken: &mut HashSet<ModelId>) -> ModelId {
    let resolved = path.file_name().map_or_else(|| path.canonicalize().ok(), |_| Some(path.to_owned()));
    let name = resolved.as_deref().and_then(Path::file_name).unwrap_or_else(|| "model".as_ref());
    let name = name.to_string_lossy();
    let numbered = (2..).map(|number| ModelId(format!("{name}-{number}")));
    let mut names = std::iter::once(ModelId(name.to_string())).chain(numbered);
    // The numbers do not end, so one is free.
    let id = names.find(|id| !taken.contains(id)).unwrap_or_else(|| ModelId(name.to_string()));
    taken.insert(id.clone());
    id
}

fn unknown(wanted: Option<&ModelId>, entries: &[Entry]) -> ApiError {
    let names: Vec<String> = entries.iter().flatten().map(|model| model.info.id.to_string()).collect();
    let wanted = wanted.map_or_else(String::new, |wanted| format!(" {:?}", shortened(&wanted.0)));
    ApiError::new(ErrorCode::UnknownModel, format!("There is no model{wanted}; known: {}", names.join(", ")))
        .at("model")
}

/// A name that somebody sent may be of any length.
fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

#[cfg(test)]
mod tests;

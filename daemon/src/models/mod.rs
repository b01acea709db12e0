//! The models that a request may name: the embedded one and diffusers folders on disk.

mod embedded;
mod files;
mod fingerprint;
mod folder;
pub mod hub;
pub mod inspect;
pub mod library;
pub mod loras;
pub mod machine;
pub mod published;
pub mod pull;
pub mod pulls;
mod space;
mod weights;

pub use files::ModelFiles;

use fingerprint::Fingerprint;
use fresco_api::{ApiError, ErrorCode, ModelId, ModelInfo};
use library::{FoundKind, Library};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

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
    library: Option<Library>,
    /// Where LoRAs lie that a prompt may name.
    loras: Option<PathBuf>,
    /// Folders that were good, as they were then.
    known: Mutex<HashMap<PathBuf, (Fingerprint, Arc<Model>)>>,
}

impl Catalogue {
    /// The embedded model, then `extra` folders, then those in `home/models`.
    pub fn new(home: &Path, extra: Vec<PathBuf>) -> Self {
        let (library, loras) = (Some(Library::new(home, Vec::new())), Some(home.join("loras")));
        Self { embedded: Some(embedded::entry()), extra, library, loras, known: Mutex::default() }
    }

    /// The same, and the models found in `roots`, folders of the user's own.
    pub fn searching(self, home: &Path, roots: Vec<PathBuf>) -> Self {
        Self { library: Some(Library::new(home, roots)), ..self }
    }

    /// One folder and nothing else, so that no other model can stand in for it.
    pub fn of_folder(folder: PathBuf) -> Self {
        Self { embedded: None, extra: vec![folder], library: None, loras: None, known: Mutex::default() }
    }

    /// The same, with the LoRAs of `home`.
    pub fn with_loras(self, home: &Path) -> Self {
        Self { loras: Some(home.join("loras")), ..self }
    }

    /// Where LoRAs lie that a prompt may name.
    pub fn loras(&self) -> Option<&Path> {
        self.loras.as_deref()
    }

    /// Whether names mean entries here; a catalogue of one folder has only that.
    pub(crate) fn has_shelf(&self) -> bool {
        self.library.is_some()
    }

    /// Every entry, the default model first. Reads configuration files.
    pub fn list(&self) -> Vec<Entry> {
        let embedded = self.embedded.iter().cloned();
        embedded.chain(self.folders().into_iter().map(|(path, id)| self.look(&path, id))).collect()
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
        let folders = self.folders();
        match folders.iter().find(|(_, id)| wanted.is_none_or(|wanted| wanted == id)) {
            Some((path, id)) => self.look(path, id.clone()).map_err(|broken| broken.error),
            None => Err(unknown(wanted, &self.list())),
        }
    }

    /// Every folder and its name. A name depends on the embedded model and the `extra` folders, which do not change
    /// while the program runs, and on the folder's own path: another folder that comes or goes changes none on the
    /// shelf. Only a folder of the user's own gives way to one of the same name on the shelf or in an earlier root.
    fn folders(&self) -> Vec<(PathBuf, ModelId)> {
        let mut taken: HashSet<ModelId> = self.embedded.iter().map(|entry| id(entry).clone()).collect();
        let found = self.library.iter().flat_map(Library::found);
        let found = found.filter(|found| matches!(found.kind, FoundKind::Folder)).map(|found| found.path);
        let all = self.extra.iter().cloned().chain(found);
        all.map(|path| {
            let id = free_id(&path, &mut taken);
            (path, id)
        })
        .collect()
    }

    fn look(&self, path: &Path, id: ModelId) -> Entry {
        // Taken before the files are read: what changes in between is seen the next time.
        let now = Fingerprint::of(path);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = known().get(path).cloned();
        if let Some((then, model)) = remembered
            && then == now
            && model.info.id == id
        {
            return Ok(model);
        }
        let model = folder::open(path, id.clone()).map_err(|error| BrokenModel { id, error })?;
        let model = Arc::new(model);
        known().insert(path.to_owned(), (now, model.clone()));
        Ok(model)
    }
}

fn id(entry: &Entry) -> &ModelId {
    match entry {
        Ok(model) => &model.info.id,
        Err(broken) => &broken.id,
    }
}

/// The folder's name; where another model has it already, with some digits that depend on the folder's path alone.
fn free_id(path: &Path, taken: &mut HashSet<ModelId>) -> ModelId {
    let resolved = path.file_name().map_or_else(|| path.canonicalize().ok(), |_| Some(path.to_owned()));
    let name = resolved.as_deref().and_then(Path::file_name).unwrap_or_else(|| "model".as_ref());
    let name = name.to_string_lossy();
    let digits = hub::sha256(path.as_os_str().as_encoded_bytes());
    let lengths =
        std::iter::successors(Some(6), |length| Some(length + 6)).take_while(|length| *length <= digits.len());
    let numbered = lengths.filter_map(|length| Some(ModelId(format!("{name}-{}", digits.get(..length)?))));
    let mut names = std::iter::once(ModelId(name.to_string())).chain(numbered);
    // The same folder may be named twice; then it is the same model.
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

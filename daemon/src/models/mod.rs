//! The models that a request may name: the embedded one, diffusers folders and single files on disk.

mod digest;
mod embedded;
mod extras;
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
mod single;
mod space;
mod weights;
pub mod words;

pub use extras::Extras;
pub use files::ModelFiles;
pub use single::{Composed, with_vae};

use extras::Shelves;
use fingerprint::Fingerprint;
use fresco_api::{ApiError, ErrorCode, ModelId, ModelInfo};
use fresco_diffusion::{FamilyName, LoadError};
use library::{Found, FoundKind, Library};
use single::{Opened, What};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

/// A model that can be loaded.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it takes.
    pub info: ModelInfo,
    /// Where its files are.
    pub files: ModelFiles,
}

/// A folder or file that looks like a model and cannot be used.
#[derive(Clone, Debug)]
pub struct BrokenModel {
    /// The name it would have.
    pub id: ModelId,
    /// What is wrong with it, with the file's name.
    pub error: ApiError,
}

/// A catalogue entry.
pub type Entry = Result<Arc<Model>, BrokenModel>;

/// Every model there is. Files are looked at again on each call, so a new one needs no restart.
pub struct Catalogue {
    /// What is found without a look at the disk.
    first: Option<Entry>,
    extra: Vec<PathBuf>,
    library: Option<Library>,
    shelves: Shelves,
    /// Folders and files that were good, as they were then.
    known: Mutex<HashMap<PathBuf, Opened>>,
    /// What files of weights are, as they were then.
    kinds: Mutex<HashMap<PathBuf, (Fingerprint, What)>>,
}

impl Catalogue {
    /// The embedded model, then `extra` folders and files, then those in `home/models`.
    pub fn new(home: &Path, extra: Vec<PathBuf>) -> Self {
        let (library, shelves) = (Some(Library::new(home, Vec::new())), Shelves::new(home, &[]));
        let (known, kinds) = Default::default();
        Self { first: Some(embedded::entry()), extra, library, shelves, known, kinds }
    }

    /// The same, and what is found in `roots`, folders of the user's own.
    pub fn searching(self, home: &Path, roots: Vec<PathBuf>) -> Self {
        let shelves = Shelves::new(home, &roots);
        Self { library: Some(Library::new(home, roots)), shelves, ..self }
    }

    /// One folder and nothing else, so that no other model can stand in for it.
    pub fn of_folder(folder: PathBuf) -> Self {
        let (shelves, known, kinds) = Default::default();
        Self { first: None, extra: vec![folder], library: None, shelves, known, kinds }
    }

    /// One model and nothing else.
    pub fn of_model(model: Arc<Model>) -> Self {
        let (extra, shelves, known, kinds) = Default::default();
        Self { first: Some(Ok(model)), extra, library: None, shelves, known, kinds }
    }

    /// The same, with the LoRAs and learned words of `home` and of `roots`.
    pub fn with_shelves(self, home: &Path, roots: &[PathBuf]) -> Self {
        Self { shelves: Shelves::new(home, roots), ..self }
    }

    /// Whether names mean entries here; a catalogue of one folder has only that.
    pub(crate) fn has_shelf(&self) -> bool {
        self.library.is_some()
    }

    /// Every entry, the default model first. Reads configuration files.
    pub fn list(&self) -> Vec<Entry> {
        let first = self.first.iter().cloned();
        first.chain(self.places().into_iter().filter_map(|(path, id)| self.look(&path, id))).collect()
    }

    /// What lies among the models and is none by itself, and what it is.
    pub fn others(&self) -> Vec<(Found, &'static str)> {
        let other = |found: Found| match &found.kind {
            FoundKind::Folder => None,
            FoundKind::Part(_) => Some((found, "no model by itself, a part for others")),
            FoundKind::File => match self.what(&found.path) {
                Ok(What::Other(said)) => Some((found, said)),
                Ok(What::Model) | Err(_) => None,
            },
        };
        self.library.iter().flat_map(Library::found).filter_map(other).collect()
    }

    /// A model by its name; the default model when there is none. May read configuration files.
    ///
    /// # Errors
    /// When there is no such model, or its files are broken.
    pub fn find(&self, wanted: Option<&ModelId>) -> Result<Arc<Model>, ApiError> {
        // The embedded model is found without a look at the disk.
        if let Some(entry) = &self.first
            && wanted.is_none_or(|wanted| wanted == id(entry))
        {
            return entry.clone().map_err(|broken| broken.error);
        }
        let places = self.places();
        let place = places.iter().find(|(_, id)| wanted.is_none_or(|wanted| wanted == id));
        match place.and_then(|(path, id)| self.look(path, id.clone())) {
            Some(entry) => entry.map_err(|broken| broken.error),
            None => Err(unknown(wanted, &self.list())),
        }
    }

    /// The model of a single file, wherever it lies; what it lacks may come from the folders here.
    ///
    /// # Errors
    /// There is no such file, it is no model, is damaged, or something is missing that nobody has.
    pub fn open_file(&self, path: &Path) -> Result<Arc<Model>, ApiError> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        single::open(path, ModelId(stem.into_owned()), &self.folders()).map(|opened| opened.model)
    }

    /// A tiny autoencoder that was pulled for the latents of a family, to show runs that are not finished: its weights.
    pub fn preview_decoder(&self, family: FamilyName) -> Option<PathBuf> {
        let id = match family {
            FamilyName::StableDiffusion => "taesd",
            FamilyName::StableDiffusionXl => "taesdxl",
            FamilyName::StableDiffusion3 => "taesd3",
        };
        let found = self.library.as_ref()?.found();
        let mut parts = found.iter().filter(|found| matches!(&found.kind, FoundKind::Part(part) if part.id == id));
        let folder = &parts.next()?.path;
        single::VAE_FILES.iter().map(|name| folder.join(name)).find(|file| file.is_file())
    }

    /// Every folder or file that may be a model, and its name. A name depends on the embedded model and the `extra`
    /// paths, which do not change while the program runs, and on its own path: another that comes or goes changes none
    /// on the shelf. Only what is the user's own gives way to one of the same name on the shelf or in an earlier root.
    fn places(&self) -> Vec<(PathBuf, ModelId)> {
        let mut taken: HashSet<ModelId> = self.first.iter().map(|entry| id(entry).clone()).collect();
        let found = self.library.iter().flat_map(Library::found);
        let found = found.filter(|found| !matches!(found.kind, FoundKind::Part(_))).map(|found| found.path);
        let all = self.extra.iter().cloned().chain(found);
        all.map(|path| {
            let id = free_id(&path, &mut taken);
            (path, id)
        })
        .collect()
    }

    /// Every diffusers folder.
    fn folders(&self) -> Vec<PathBuf> {
        self.places().into_iter().map(|(path, _)| path).filter(|path| path.is_dir()).collect()
    }

    /// A place's entry; nothing where a file there is no model.
    fn look(&self, path: &Path, id: ModelId) -> Option<Entry> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = known().get(path).cloned();
        if let Some(Opened { model, paths, then }) = remembered
            && then == Fingerprint::of(&paths)
            && model.info.id == id
        {
            return Some(Ok(model));
        }
        let opened = match path.is_file() {
            false => {
                let paths = vec![path.to_owned()];
                // Taken before the files are read: what changes in between is seen the next time.
                let then = Fingerprint::of(&paths);
                folder::open(path, id.clone()).map(|model| Opened { model: Arc::new(model), paths, then })
            }
            true => match self.what(path) {
                Ok(What::Other(_)) => return None,
                Ok(What::Model) => single::open(path, id.clone(), &self.folders()),
                Err(error) => Err(error.into()),
            },
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return Some(Err(BrokenModel { id, error })),
        };
        known().insert(path.to_owned(), opened.clone());
        Some(Ok(opened.model))
    }

    /// What a file of weights is. Reads its header when that was not read before.
    fn what(&self, path: &Path) -> Result<What, LoadError> {
        let kinds = || self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Fingerprint::of_file(path);
        if let Some((then, what)) = kinds().get(path)
            && *then == now
        {
            return Ok(*what);
        }
        let what = single::what(path)?;
        kinds().insert(path.to_owned(), (now, what));
        Ok(what)
    }
}

/// The value of a future that waits for nothing, as files on a disk answer at once. Unlike an executor it may be called
/// inside another: the engine asks the catalogue while it loads.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

fn id(entry: &Entry) -> &ModelId {
    match entry {
        Ok(model) => &model.info.id,
        Err(broken) => &broken.id,
    }
}

/// The folder's name, or the file's without its ending; where another model has it already, with some digits that
/// depend on the path alone.
fn free_id(path: &Path, taken: &mut HashSet<ModelId>) -> ModelId {
    let resolved = path.file_name().map_or_else(|| path.canonicalize().ok(), |_| Some(path.to_owned()));
    let name = resolved.as_deref().and_then(Path::file_name).unwrap_or_else(|| "model".as_ref());
    // A file's ending says what form it has, and nothing of the model.
    let name = if path.is_file() { Path::new(name).file_stem().unwrap_or(name) } else { name };
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

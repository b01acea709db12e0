//! Models of single files: checkpoints in the original layout, GGUF, and an autoencoder in place of a model's own.
//!
//! What a file lacks, tokenizers always, is taken from its folder, from files near it, or from an installed model of
//! the same family; where none has it, the error says what is missing and how to get it.

mod beside;
mod complete;
mod loose;
mod named;

use super::{
    Model, ModelFiles, at_once,
    fingerprint::Fingerprint,
    folder::{derived_info, is_distilled},
};
use beside::{Base, Beside};
use fresco_api::{ApiError, ErrorCode, ModelId};
use fresco_diffusion::{
    LoadError, Pipeline,
    weights::{
        self,
        checkpoint::{Checkpoint, Kind, Part, listings, recognise},
    },
};
use named::Named;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The folder of a model's autoencoder.
const VAE: &str = "vae";
/// The files that an autoencoder's folder may have.
pub(super) const VAE_FILES: [&str; 2] =
    ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"];

/// Which files make a model.
#[derive(Clone, Debug, Default)]
struct Plan {
    /// Single files; what is in several comes from the last.
    files: Vec<PathBuf>,
    /// What they lack.
    beside: Beside,
    /// Whether its name says that it was distilled to a few steps.
    distilled: bool,
}

/// Single files that were put together to a model.
pub struct Composed {
    plan: Plan,
    source: Checkpoint<Named, Beside>,
}

impl fmt::Debug for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Composed").field(&self.plan).finish()
    }
}

impl Composed {
    pub(super) fn source(&self) -> &Checkpoint<Named, Beside> {
        &self.source
    }
}

impl Plan {
    fn compose(self) -> Result<Composed, LoadError> {
        let (named, names) = Named::new(&self.files);
        let mut source = at_once(Checkpoint::open(named, &names, self.beside.clone()))?;
        if self.distilled {
            source.take_as_distilled();
        }
        Ok(Composed { plan: self, source })
    }

    /// Everything that the model is read from.
    fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().chain(self.beside.parts.values()).cloned().collect()
    }
}

/// What a file of weights is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A model, or its denoiser at least.
    Model,
    /// Something else: what, and where it belongs.
    Other(&'static str),
}

/// Tells by a file's header what it is.
///
/// # Errors
/// The file is damaged, or a pickle.
pub(super) fn what(path: &Path) -> Result<What, LoadError> {
    let (folder, name) = ModelFiles::of_file(path);
    let header = at_once(weights::header(&folder, &name))?;
    Ok(match recognise(&header.tensors) {
        Kind::Model => {
            let parts = listings(&name, &header.tensors)?;
            match parts.contains_key(&Part::Unet) || parts.contains_key(&Part::Transformer) {
                true => What::Model,
                false => What::Other("a part of a model without a denoiser, for others to take"),
            }
        }
        Kind::Lora => What::Other("a LoRA: it belongs into the folder `loras` of FRESCO_HOME"),
        Kind::Embedding => What::Other("a learned word: it belongs into the folder `embeddings` of FRESCO_HOME"),
        Kind::Taesd => What::Other("a tiny autoencoder: say it with --fast-decoder"),
        Kind::Upscaler => What::Other("an upscaler: say it with --upscaler"),
        Kind::ControlNet => What::Other("a ControlNet, which is not built"),
        Kind::Unknown => What::Other("tensors of no known kind"),
    })
}

/// A model, and what it was read from.
#[derive(Clone)]
pub(super) struct Opened {
    pub model: Arc<Model>,
    /// The files and folders.
    pub paths: Vec<PathBuf>,
    /// As they were before they were read.
    pub then: Fingerprint,
}

/// The model of a single file; what it lacks may come from `installed` folders.
///
/// # Errors
/// It is no model, is damaged, or something is missing that nobody has.
pub(super) fn open(path: &Path, id: ModelId, installed: &[PathBuf]) -> Result<Opened, ApiError> {
    if !path.is_file() {
        let message = format!("There is no file {}", path.display());
        return Err(ApiError::new(ErrorCode::UnknownModel, message).at("model"));
    }
    let alone = Plan { files: vec![path.to_owned()], distilled: is_distilled(&id.0), ..Plan::default() }.compose()?;
    let (plan, description) = complete::complete(path, alone, installed)?;
    let paths = plan.paths();
    let then = Fingerprint::of(&paths);
    let files = ModelFiles::Composed(Arc::new(plan.compose()?));
    let info = derived_info(id, at_once(Pipeline::inspect(&files))?, description);
    info.check().map_err(|reason| LoadError::Bad { file: path.display().to_string(), reason })?;
    Ok(Opened { model: Arc::new(Model { info, files }), paths, then })
}

/// A model's files with the autoencoder of `vae` in place of its own, and the file that holds it.
///
/// `vae` is a folder in diffusers' layout, of an autoencoder or of a model that has one, or a single file in that
/// layout or in the original one.
///
/// # Errors
/// There is none, it holds something else, or it does not fit the model; the field is `vae`.
pub fn with_vae(files: &ModelFiles, vae: &Path) -> Result<(ModelFiles, PathBuf), ApiError> {
    let of_base = |base| Plan { beside: Beside { base, ..Beside::default() }, ..Plan::default() };
    let mut plan = match files {
        ModelFiles::Embedded => of_base(Base::Embedded),
        ModelFiles::Folder(folder) => of_base(Base::Folder(folder.clone())),
        ModelFiles::Composed(composed) => composed.plan.clone(),
    };
    let weights = if vae.is_dir() {
        let (folder, weights) = vae_in(vae)?;
        if plan.files.is_empty() {
            // With its own configuration.
            plan.beside.parts.insert(VAE.to_owned(), folder);
        } else {
            plan.files.push(weights.clone());
        }
        weights
    } else {
        check_vae(vae)?;
        plan.files.push(vae.to_owned());
        vae.to_owned()
    };
    let at_vae = |error: LoadError| ApiError::from(error).at(VAE);
    let files = ModelFiles::Composed(Arc::new(plan.compose().map_err(at_vae)?));
    at_once(Pipeline::inspect(&files)).map_err(at_vae)?;
    Ok((files, weights))
}

/// The folder of an autoencoder in `folder`, and its weights.
fn vae_in(folder: &Path) -> Result<(PathBuf, PathBuf), ApiError> {
    let places = [folder.join(VAE), folder.to_owned()];
    let found = places.iter().filter(|place| place.join("config.json").is_file()).find_map(|place| {
        let weights = VAE_FILES.iter().map(|name| place.join(name)).find(|file| file.is_file())?;
        Some((place.clone(), weights))
    });
    found.ok_or_else(|| {
        let message = format!("{} has no config.json with {} beside it", folder.display(), VAE_FILES[0]);
        ApiError::field(VAE, message)
    })
}

/// Whether a file holds an autoencoder and nothing else: a whole checkpoint would take the model's place.
fn check_vae(path: &Path) -> Result<(), ApiError> {
    let (folder, name) = ModelFiles::of_file(path);
    let header = at_once(weights::header(&folder, &name)).map_err(|error| ApiError::from(error).at(VAE))?;
    let parts = match recognise(&header.tensors) {
        Kind::Model => listings(&name, &header.tensors).map_err(|error| ApiError::from(error).at(VAE))?,
        _ => Default::default(),
    };
    let names: Vec<&str> = parts.keys().map(|part| part.folder()).collect();
    match names[..] {
        [VAE] => Ok(()),
        [] => Err(ApiError::field(VAE, format!("{name} is no autoencoder"))),
        _ => Err(ApiError::field(VAE, format!("{name} holds more than an autoencoder: {}", names.join(", ")))),
    }
}

//! The files that a run takes besides its model's: named by the request and found on the shelves, or said on a
//! command line.

use super::{
    Catalogue, Model, at_once,
    digest::Digests,
    loras::{self, LoraFile},
    words::{self, WordFile},
};
use fresco_api::{ApiError, ErrorCode, FileKind, Params, UsedFile, limits};
use fresco_diffusion::{
    config::{ClipConfig, read_json},
    prompt,
};
use std::path::{Path, PathBuf};

/// The folders of CLIP text encoders in a model.
const CLIPS: [&str; 2] = ["text_encoder", "text_encoder_2"];
/// Names that other programs give the folders, beside our own.
const LORA_FOLDERS: [&str; 2] = ["loras", "Lora"];
const WORD_FOLDERS: [&str; 1] = ["embeddings"];

/// Files besides a model's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// Added to the model's weights.
    pub loras: Vec<LoraFile>,
    /// Taught to its text encoders.
    pub words: Vec<WordFile>,
    /// In place of its autoencoder. Only noted here: the model's files have it already.
    pub vae: Option<PathBuf>,
    /// Decodes the finished picture.
    pub fast_decoder: Option<PathBuf>,
    /// Enlarges the finished picture.
    pub upscaler: Option<PathBuf>,
}

/// Where files lie that a request may name.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    loras: Vec<PathBuf>,
    words: Vec<PathBuf>,
    digests: Digests,
}

impl Shelves {
    /// Those in `home`, and in `roots`, folders of the user's own.
    pub fn new(home: &Path, roots: &[PathBuf]) -> Self {
        let of = |names: &[&str]| {
            let inside = |root: &PathBuf| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
            let own = names.first().map(|name| home.join(name));
            own.into_iter().chain(roots.iter().flat_map(inside)).collect()
        };
        Self { loras: of(&LORA_FOLDERS), words: of(&WORD_FOLDERS), digests: Digests::default() }
    }

    /// Where LoRAs lie that a prompt may name.
    pub fn loras(&self) -> &[PathBuf] {
        &self.loras
    }
}

impl Catalogue {
    /// Every file that a run of `params` takes besides its model's: those that were `given`, and those that the
    /// request names. Reads headers, and files of learned words.
    ///
    /// # Errors
    /// A name that is not there, or a file that does not fit the model, by its field.
    pub fn extras(&self, params: &Params, given: &Extras, model: &Model) -> Result<Extras, ApiError> {
        let listed = loras::listed(&params.loras, &self.shelves.loras)?;
        let named = loras::named_in(&params.prompt, &self.shelves.loras)?;
        let loras = [given.loras.clone(), listed, named].concat();
        if loras.len() > limits::MAX_LORAS {
            let message = format!("{} LoRAs are named, {} are the most", loras.len(), limits::MAX_LORAS);
            return Err(ApiError::field("loras", message));
        }
        let widths = widths(model)?;
        given.words.iter().try_for_each(|word| words::check(word, &widths))?;
        let texts = [("prompt", params.prompt.as_str()), ("negativePrompt", params.negative_prompt.as_str())];
        let named = words::named_in(&texts, &self.shelves.words, &widths)?;
        let words = given.words.iter().cloned().chain(named.into_iter().filter(|word| !given.words.contains(word)));
        Ok(Extras { loras, words: words.collect(), ..given.clone() })
    }

    /// The parameters with a note of every file that the run takes besides its model's. Reads the files through, once
    /// for each content.
    ///
    /// # Errors
    /// As [`Catalogue::extras`]; a prompt of too many sections; or a file cannot be read.
    pub fn noted(&self, params: Params, given: &Extras) -> Result<Params, ApiError> {
        check_sections("prompt", &params.prompt)?;
        check_sections("negativePrompt", &params.negative_prompt)?;
        let model = self.find(Some(&params.model))?;
        let extras = self.extras(&params, given, &model)?;
        let used = self.notes(&extras)?;
        Ok(Params { used, ..params })
    }

    /// Whether the files that a run takes are still those that were noted, where any were: a picture must not say that
    /// it was made with others.
    ///
    /// # Errors
    /// One was changed in between, or cannot be read.
    pub fn check_noted(&self, params: &Params, extras: &Extras) -> Result<(), ApiError> {
        if params.used.is_empty() {
            return Ok(());
        }
        let now = self.notes(extras)?;
        let noted =
            |file: &UsedFile| params.used.iter().any(|noted| noted.kind == file.kind && noted.digest == file.digest);
        match now.iter().find(|file| !noted(file)) {
            None => Ok(()),
            Some(file) => {
                let message = format!("The file {} was changed after the request was accepted", file.name);
                Err(ApiError::new(ErrorCode::Conflict, message))
            }
        }
    }

    /// A note of each file. Reads them through, once for each content.
    fn notes(&self, extras: &Extras) -> Result<Vec<UsedFile>, ApiError> {
        let mut used = Vec::new();
        for lora in &extras.loras {
            let text_weight = (lora.text != lora.denoiser).then_some(lora.text);
            let file = self.used(FileKind::Lora, &lora.path)?;
            used.push(UsedFile { weight: Some(lora.denoiser), text_weight, ..file });
        }
        for word in &extras.words {
            used.push(self.used(FileKind::Embedding, &word.path)?);
        }
        let single = [
            (FileKind::Vae, &extras.vae),
            (FileKind::FastDecoder, &extras.fast_decoder),
            (FileKind::Upscaler, &extras.upscaler),
        ];
        for (kind, path) in single {
            if let Some(path) = path {
                used.push(self.used(kind, path)?);
            }
        }
        Ok(used)
    }

    fn used(&self, kind: FileKind, path: &Path) -> Result<UsedFile, ApiError> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let digest = self.shelves.digests.of(path);
        // The path is the server's business alone.
        let digest = digest.map_err(|error| ApiError::new(ErrorCode::BadModel, format!("{name}: {error}")))?;
        Ok(UsedFile { kind, name, digest, weight: None, text_weight: None })
    }
}

/// Each section is a window of the text encoder at least; the engine counts all windows.
fn check_sections(field: &str, text: &str) -> Result<(), ApiError> {
    let (sections, most) = (prompt::parse(text).sections.len(), limits::MAX_PROMPT_WINDOWS);
    if sections <= most {
        return Ok(());
    }
    let message = format!("The text fills {sections} windows of the text encoder at least, {most} are the most");
    Err(ApiError::field(field, message))
}

/// The widths of a model's CLIP text encoders.
fn widths(model: &Model) -> Result<Vec<usize>, ApiError> {
    let mut widths = Vec::new();
    for folder in CLIPS {
        let file = format!("{folder}/config.json");
        let there = at_once(fresco_diffusion::Source::len(&model.files, &file)).ok().flatten().is_some();
        if there {
            let config: ClipConfig = at_once(read_json(&model.files, &file))?;
            widths.push(config.hidden_size);
        }
    }
    Ok(widths)
}

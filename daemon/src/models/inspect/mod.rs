//! What a model's files say of themselves: parameters, precision and bytes of each component, and what it takes to run it.

mod memory;

pub use memory::{Line, lines, outline};

use super::{ModelFiles, published::Published};
use fresco_diffusion::{
    LoadError, Source, SourceError,
    weights::{self, Entry, Footprint},
};
use futures_executor::block_on;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The folders of a diffusers model that hold weights; `.` is a component's own folder.
const FOLDERS: [&str; 7] = ["text_encoder", "text_encoder_2", "text_encoder_3", "unet", "transformer", "vae", "."];
/// The names that weights have there.
const STEMS: [&str; 2] = ["diffusion_pytorch_model", "model"];
/// An index of shards is no longer.
const INDEX_BYTES: u64 = 16 << 20;
/// What the names of tensors in single files begin with, and what the tensors belong to.
const PREFIXES: [(&str, &str); 8] = [
    ("model.diffusion_model.", "denoiser"),
    ("diffusion_model.", "denoiser"),
    ("first_stage_model.", "vae"),
    ("vae.", "vae"),
    ("cond_stage_model.", "text encoder"),
    ("conditioner.", "text encoders"),
    ("text_encoders.", "text encoders"),
    ("lora_", "lora"),
];

/// What a component is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads the prompt; used once a picture.
    TextEncoder,
    /// Predicts the noise, each step.
    Denoiser,
    /// Between latents and pictures.
    Vae,
    /// Something else.
    Other,
}

/// One component's weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The folder, or what the tensors' names say.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// How many numbers it has.
    pub parameters: u64,
    /// Their bytes in the files.
    pub bytes: u64,
    /// Parameters by type, such as `F16`.
    pub types: BTreeMap<String, u64>,
    /// Their bytes on a device, at each precision.
    #[serde(skip)]
    pub footprint: Footprint,
}

/// Weights that cannot be inspected.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct InspectError {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

impl From<SourceError> for InspectError {
    fn from(error: SourceError) -> Self {
        Self { file: error.file, reason: error.reason }
    }
}

impl From<LoadError> for InspectError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Source(error) => error.into(),
            LoadError::Bad { file, reason } => Self { file, reason },
            other => Self { file: "model".to_owned(), reason: other.to_string() },
        }
    }
}

/// The components of a folder, in the order in which they are used.
///
/// # Errors
/// A file is damaged, or there are no weights at all.
pub fn folder(files: &ModelFiles) -> Result<Vec<Part>, InspectError> {
    let mut parts = Vec::new();
    for folder in FOLDERS {
        let mut all = Vec::new();
        for file in weight_files(files, folder)? {
            all.extend(block_on(weights::header(files, &file))?.tensors.into_values());
        }
        if !all.is_empty() {
            parts.push(part(folder, &all));
        }
    }
    match parts.is_empty() {
        true => Err(InspectError { file: "unet".to_owned(), reason: "no safetensors weights are there".to_owned() }),
        false => Ok(parts),
    }
}

/// The components in a single file, safetensors or GGUF, told by the names of its tensors.
///
/// # Errors
/// The file is damaged or of another form.
pub fn single_file(path: &Path) -> Result<Vec<Part>, InspectError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = ModelFiles::of_folder(parent);
    let mut groups: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
    for (tensor, entry) in block_on(weights::header(&files, &name))?.tensors {
        let found = PREFIXES.iter().find(|(prefix, _)| tensor.starts_with(prefix));
        groups.entry(found.map_or("other", |(_, group)| group)).or_default().push(entry);
    }
    Ok(groups.iter().map(|(group, tensors)| part(group, tensors)).collect())
}

/// What a published model's architecture says, before it is fetched.
pub fn published(entry: &Published) -> Vec<Part> {
    // Convolutions are about half of a UNet, and nearly all of an autoencoder.
    let matrices = |role: Role, name: &str| match role {
        Role::TextEncoder => 100,
        Role::Denoiser if name == "transformer" => 100,
        Role::Denoiser => 50,
        Role::Vae | Role::Other => 0,
    };
    let part = |component: &super::published::Component| {
        let (name, parameters) = (component.folder.clone(), component.parameters);
        let role = role(&name);
        let footprint = Footprint::of_parameters(parameters, matrices(role, &name));
        let types = BTreeMap::from([("F16".to_owned(), parameters)]);
        Part { name, role, parameters, bytes: parameters * 2, types, footprint }
    };
    entry.components.iter().map(part).collect()
}

fn part(name: &str, tensors: &[Entry]) -> Part {
    let parameters = |entry: &Entry| entry.shape.iter().fold(1_u64, |all, side| all.saturating_mul(*side as u64));
    let mut types = BTreeMap::new();
    for entry in tensors {
        let kind = entry.storage.as_ref().map_or_else(Clone::clone, |storage| storage.name().to_owned());
        *types.entry(kind).or_default() += parameters(entry);
    }
    Part {
        name: name.to_owned(),
        role: role(name),
        parameters: tensors.iter().map(parameters).sum(),
        bytes: tensors.iter().map(|entry| entry.range.end - entry.range.start).sum(),
        types,
        footprint: Footprint::of(tensors),
    }
}

fn role(name: &str) -> Role {
    match name {
        "unet" | "transformer" | "denoiser" => Role::Denoiser,
        "vae" => Role::Vae,
        name if name.starts_with("text") => Role::TextEncoder,
        _ => Role::Other,
    }
}

/// The files of a folder's weights: those that a loader takes, not every form that lies there.
fn weight_files(files: &ModelFiles, folder: &str) -> Result<Vec<String>, InspectError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let inside = |name: &str| if folder == "." { name.to_owned() } else { format!("{folder}/{name}") };
    for stem in STEMS {
        for ending in [".safetensors", ".fp16.safetensors"] {
            let file = inside(&format!("{stem}{ending}"));
            if block_on(files.len(&file))?.is_some() {
                return Ok(vec![file]);
            }
        }
        let index = inside(&format!("{stem}.safetensors.index.json"));
        let Some(length) = block_on(files.len(&index))? else { continue };
        let bad = |reason: String| InspectError { file: index.clone(), reason };
        if length > INDEX_BYTES {
            return Err(bad("is too long".to_owned()));
        }
        let bytes = block_on(files.read(&index, 0..length))?;
        let Index { weight_map } = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        let shards: BTreeSet<String> = weight_map.into_values().map(|name| inside(&name)).collect();
        return Ok(shards.into_iter().collect());
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_models_parts_are_counted() {
        let parts = folder(&ModelFiles::Embedded).expect("its weights");
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["text_encoder", "unet", "vae"]);
        for part in &parts {
            assert_eq!(
                part.bytes,
                part.types.iter().map(|(name, n)| n * if name == "F32" { 4 } else { 2 }).sum::<u64>()
            );
            assert!(part.parameters > 10_000 && part.role != Role::Other, "{part:?}");
        }
        // The entry in the published list states the same counts.
        let entry = Published::find("fresco-tiny").expect("an entry");
        let stated: Vec<u64> = entry.components.iter().map(|component| component.parameters).collect();
        assert_eq!(parts.iter().map(|part| part.parameters).collect::<Vec<_>>(), stated);
    }
}

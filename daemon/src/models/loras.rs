//! LoRA files: those that a command line names, those of a request's field, and those that a prompt names by
//! `<lora:name:0.8>`.

use super::fingerprint::Fingerprint;
use fresco_api::{ApiError, Lora, is_plain_name, limits};
use fresco_diffusion::prompt;
use std::path::{Path, PathBuf};

/// A LoRA file as it is now, and how much of it is added.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraFile {
    /// The file.
    pub path: PathBuf,
    /// Strength in the denoiser; 1 is all of it.
    pub denoiser: f32,
    /// Strength in the text encoders.
    pub text: f32,
    /// A file that is written over is another LoRA.
    seen: Fingerprint,
}

impl LoraFile {
    /// A file as it is now.
    pub fn new(path: PathBuf, denoiser: f32, text: f32) -> Self {
        Self { seen: Fingerprint::of_file(&path), path, denoiser, text }
    }
}

/// The LoRAs of a request's field, from the folders of those that are installed.
///
/// # Errors
/// There is no such file.
pub(super) fn listed(loras: &[Lora], folders: &[PathBuf]) -> Result<Vec<LoraFile>, ApiError> {
    let found = |lora: &Lora| match find(&lora.name, folders) {
        Some(path) => Ok(LoraFile::new(path, lora.weight, lora.in_texts())),
        None => Err(unknown("loras", &lora.name)),
    };
    loras.iter().map(found).collect()
}

/// The LoRAs that a prompt names, from the folders of those that are installed.
///
/// # Errors
/// There is no such file. A name is one file's name: it cannot lead out of a folder.
pub(super) fn named_in(text: &str, folders: &[PathBuf]) -> Result<Vec<LoraFile>, ApiError> {
    let found = |tag: prompt::LoraTag| match find(&tag.name, folders) {
        Some(path) => Ok(LoraFile::new(path, tag.weight, tag.text_weight)),
        None => Err(unknown("prompt", &tag.name)),
    };
    let tags = prompt::parse(text).loras;
    if tags.len() > limits::MAX_LORAS {
        let message = format!("The prompt names {} LoRAs, {} are the most", tags.len(), limits::MAX_LORAS);
        return Err(ApiError::field("prompt", message));
    }
    tags.into_iter().map(found).collect()
}

fn unknown(field: &str, name: &str) -> ApiError {
    // The name comes from a client and is not trusted to be short.
    let name: String = name.chars().take(80).collect();
    let message = format!("There is no LoRA {name:?}: its file belongs into the folder `loras` of FRESCO_HOME");
    ApiError::field(field, message)
}

fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let inside = |folder: &PathBuf| folder.join(format!("{name}.safetensors"));
    let file = |folder: &PathBuf| Some(inside(folder)).filter(|file: &PathBuf| Path::is_file(file));
    is_plain_name(name).then(|| folders.iter().find_map(file)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_finds_its_file_and_none_outside_the_folder() {
        let home = std::env::temp_dir().join(format!("fresco-loras-{}", std::process::id()));
        let folder = home.join("loras");
        std::fs::create_dir_all(&folder).expect("a folder");
        for file in [folder.join("ink.safetensors"), home.join("secret.safetensors")] {
            std::fs::write(file, b"x").expect("a file");
        }
        let folders = [home.join("none"), folder.clone()];
        let found = named_in("a house <lora:ink:0.5> <lora:ink:0.2:0.7>", &folders).expect("both are there");
        let path = folder.join("ink.safetensors");
        assert_eq!(found, [LoraFile::new(path.clone(), 0.5, 0.5), LoraFile::new(path.clone(), 0.7, 0.2)]);
        for name in ["other", "../secret", "..\\secret", ".ink", "/etc/passwd"] {
            let error = named_in(&format!("x <lora:{name}:1>"), &folders).expect_err(name);
            assert_eq!(error.field.as_deref(), Some("prompt"), "{name}");
            let lora = Lora { name: name.to_owned(), weight: 1.0, text_weight: None };
            assert_eq!(listed(&[lora], &folders).expect_err(name).field.as_deref(), Some("loras"), "{name}");
        }
        assert!(named_in("x <lora:ink:1>", &[]).is_err());
        assert!(named_in(&"<lora:ink:1>".repeat(limits::MAX_LORAS), &folders).is_ok());
        assert!(named_in(&"<lora:ink:1>".repeat(limits::MAX_LORAS + 1), &folders).is_err());
        assert_eq!(named_in("no tag", &[]).expect("needs no folder"), []);
        // Written over in place, at the same path.
        let before = LoraFile::new(path.clone(), 1.0, 1.0);
        std::fs::write(&path, b"another").expect("a file");
        assert_ne!(before, LoraFile::new(path, 1.0, 1.0));
        std::fs::remove_dir_all(home).expect("is removed");
    }
}

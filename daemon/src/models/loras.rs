//! LoRA files: those that a command line names, and those that a prompt names by `<lora:name:0.8>`.

use fresco_api::{ApiError, ErrorCode};
use fresco_diffusion::prompt;
use std::path::{Path, PathBuf};

/// A LoRA file and how much of it is added.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraFile {
    /// The file.
    pub path: PathBuf,
    /// Strength in the denoiser; 1 is all of it.
    pub denoiser: f32,
    /// Strength in the text encoders.
    pub text: f32,
}

/// The most LoRAs that a prompt may name: each is added to a model in full.
const MOST: usize = 16;

/// The LoRAs that a prompt names, from the folder of those that are installed.
///
/// # Errors
/// There is no such file. A name is one file's name: it cannot lead out of the folder.
pub fn named_in(text: &str, folder: Option<&Path>) -> Result<Vec<LoraFile>, ApiError> {
    let found = |tag: prompt::LoraTag| match find(&tag.name, folder) {
        Some(path) => Ok(LoraFile { path, denoiser: tag.weight, text: tag.text_weight }),
        None => {
            // The name comes from a client and is not trusted to be short.
            let name: String = tag.name.chars().take(80).collect();
            let message = format!("There is no LoRA {name:?}: its file belongs into the folder `loras` of FRESCO_HOME");
            Err(ApiError::new(ErrorCode::InvalidField, message).at("prompt"))
        }
    };
    let tags = prompt::parse(text).loras;
    if tags.len() > MOST {
        let message = format!("The prompt names {} LoRAs, {MOST} are the most", tags.len());
        return Err(ApiError::field("prompt", message));
    }
    tags.into_iter().map(found).collect()
}

fn find(name: &str, folder: Option<&Path>) -> Option<PathBuf> {
    let plain = !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0']);
    let file = folder?.join(format!("{name}.safetensors"));
    (plain && file.is_file()).then_some(file)
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
        let found = named_in("a house <lora:ink:0.5> <lora:ink:0.2:0.7>", Some(&folder)).expect("both are there");
        let path = folder.join("ink.safetensors");
        assert_eq!(
            found,
            [LoraFile { path: path.clone(), denoiser: 0.5, text: 0.5 }, LoraFile { path, denoiser: 0.7, text: 0.2 }]
        );
        for name in ["other", "../secret", "..\\secret", ".ink", "/etc/passwd"] {
            let error = named_in(&format!("x <lora:{name}:1>"), Some(&folder)).expect_err(name);
            assert_eq!(error.field.as_deref(), Some("prompt"), "{name}");
        }
        assert!(named_in("x <lora:ink:1>", None).is_err());
        assert!(named_in(&"<lora:ink:1>".repeat(MOST), Some(&folder)).is_ok());
        assert!(named_in(&"<lora:ink:1>".repeat(MOST + 1), Some(&folder)).is_err());
        assert_eq!(named_in("no tag", None).expect("needs no folder"), []);
        std::fs::remove_dir_all(home).expect("is removed");
    }
}

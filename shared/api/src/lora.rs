//! What is added to a model for one picture: LoRAs by name, and a note of every file that a picture was made with.

use crate::{ApiError, limits};
use serde::{Deserialize, Serialize};

/// A LoRA of the engine's library, and how much of it is added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lora {
    /// Its file's name without the ending; never a path.
    pub name: String,
    /// Strength: 1 is all of it, 0 nothing, below 0 its opposite; 1 when left out.
    #[serde(default = "whole")]
    pub weight: f32,
    /// Strength in the text encoders where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_weight: Option<f32>,
}

fn whole() -> f32 {
    1.0
}

impl Lora {
    /// Strength in the text encoders.
    pub fn in_texts(&self) -> f32 {
        self.text_weight.unwrap_or(self.weight)
    }

    /// Checks the names and weights of a request's LoRAs.
    ///
    /// # Errors
    /// There are too many, a name is none, or a weight is out of its bounds; the field is `loras`.
    pub fn check_all(loras: &[Self]) -> Result<(), ApiError> {
        if loras.len() > limits::MAX_LORAS {
            let message = format!("At most {} LoRAs are added, not {}", limits::MAX_LORAS, loras.len());
            return Err(ApiError::field("loras", message));
        }
        loras.iter().try_for_each(Self::check)
    }

    fn check(&self) -> Result<(), ApiError> {
        if !is_plain_name(&self.name) {
            // The name is not trusted to be short.
            let name: String = self.name.chars().take(80).collect();
            let message = format!("{name:?} is no LoRA's name: a file's name without its ending is one, a path is not");
            return Err(ApiError::field("loras", message));
        }
        let bounds = -limits::MAX_LORA_WEIGHT..=limits::MAX_LORA_WEIGHT;
        match [self.weight, self.in_texts()].into_iter().find(|weight| !bounds.contains(weight)) {
            None => Ok(()),
            Some(weight) => {
                let most = limits::MAX_LORA_WEIGHT;
                let message = format!("The weight of {} must be -{most} to {most}, not {weight}", self.name);
                Err(ApiError::field("loras", message))
            }
        }
    }
}

/// Whether a name can be that of a file in a folder, and lead nowhere else.
pub fn is_plain_name(name: &str) -> bool {
    let strange = |c: char| c.is_control() || "/\\:".contains(c);
    !name.trim().is_empty() && name.len() <= limits::MAX_NAME_BYTES && !name.starts_with('.') && !name.contains(strange)
}

/// What a file besides the model's own is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// Low-rank changes to the model's weights.
    Lora,
    /// Learned words (textual inversion).
    Embedding,
    /// An autoencoder in place of the model's own.
    Vae,
    /// A tiny autoencoder that decodes the finished picture.
    FastDecoder,
    /// A network that enlarges the finished picture.
    Upscaler,
}

/// A file besides the model's own that a picture was made with, by its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsedFile {
    /// What it was used for.
    pub kind: FileKind,
    /// Its name without the ending.
    pub name: String,
    /// The SHA-256 of its bytes, as `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// How much of it was added, for what is added by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f32>,
    /// How much of it was added to the text encoders where that is another weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_weight: Option<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_a_weight_is_a_number() {
        let lora = |name: &str, weight: f32| Lora { name: name.to_owned(), weight, text_weight: None };
        assert!(Lora::check_all(&[lora("ink", 0.8), lora("Old ink (v2)", -1.0)]).is_ok());
        for name in ["", " ", "../x", "a/b", "a\\b", "C:x", ".hidden", "a\0b", &"x".repeat(300)] {
            let error = Lora::check_all(&[lora(name, 1.0)]).expect_err(name);
            assert_eq!(error.field.as_deref(), Some("loras"));
            assert!(error.message.len() < 200, "{error}");
        }
        for weight in [f32::NAN, f32::INFINITY, 10.5, -11.0] {
            assert!(Lora::check_all(&[lora("ink", weight)]).is_err(), "{weight}");
            let texts = Lora { text_weight: Some(weight), ..lora("ink", 1.0) };
            assert!(Lora::check_all(&[texts]).is_err(), "{weight}");
        }
        assert!(Lora::check_all(&vec![lora("ink", 1.0); limits::MAX_LORAS]).is_ok());
        assert!(Lora::check_all(&vec![lora("ink", 1.0); limits::MAX_LORAS + 1]).is_err());
    }

    #[test]
    fn a_weight_that_is_left_out_is_all_of_it() {
        let lora: Lora = serde_json::from_str(r#"{"name":"ink"}"#).expect("parses");
        assert_eq!((lora.weight, lora.in_texts()), (1.0, 1.0));
        assert!(serde_json::from_str::<Lora>(r#"{"name":"ink","path":"/etc"}"#).is_err());
    }
}

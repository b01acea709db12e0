//! A model of the user's own: which of the files that he dropped it needs, and what is guessed about it.

use crate::DEFAULT_MODEL;
use fresco_api::{ModelInfo, Sampler, limits};
use serde_json::Value;

/// The name under which a single file of weights is kept.
pub const SINGLE: &str = "checkpoint.safetensors";
/// The file by which a folder shows that it is a model.
const INDEX: &str = "model_index.json";
/// Endings of files that a folder's model needs.
const NEEDED: [&str; 4] = ["json", "txt", "model", "safetensors"];
/// Half-precision weights have this in their names.
const HALF: &str = ".fp16.";

/// The numbers of the files that are needed, with their paths in the model's folder.
///
/// # Errors
/// A sentence: this is no model, or one that is not opened.
pub fn wanted(paths: &[&str]) -> Result<Vec<(usize, String)>, String> {
    let ending = |path: &str| path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    if let [path] = paths {
        return match ending(path).as_str() {
            "safetensors" => Ok(vec![(0, SINGLE.to_owned())]),
            "ckpt" | "pt" | "pth" | "bin" => {
                Err("This is a pickle, which can run code when it is read: take the model's .safetensors file"
                    .to_owned())
            }
            _ => {
                Err("This is no model: a .safetensors file is needed, or a folder with its model_index.json".to_owned())
            }
        };
    }
    let index = paths.iter().filter(|path| **path == INDEX || path.ends_with(&format!("/{INDEX}")));
    let index = index.min_by_key(|path| path.len());
    let index = index.ok_or_else(|| format!("This is no model's folder: it has no {INDEX}"))?;
    let top = index.strip_suffix(INDEX).unwrap_or_default();
    let inside = paths.iter().enumerate().filter_map(|(at, path)| Some((at, path.strip_prefix(top)?)));
    let needed = inside.filter(|(_, path)| {
        // Weights beside the index are the whole model once more, in one file.
        let deep = path.matches('/').count();
        NEEDED.contains(&ending(path).as_str()) && (deep == 1 || (deep == 0 && ending(path) == "json"))
    });
    let needed: Vec<(usize, &str)> = needed.collect();
    let halves = |path: &str| needed.iter().any(|(_, other)| other.contains(HALF) && other.replace(HALF, ".") == path);
    let taken = needed.iter().filter(|(_, path)| !halves(path));
    Ok(taken.map(|(at, path)| (*at, (*path).to_owned())).collect())
}

/// What a model takes, from its name and the texts of its configuration, each with its path.
pub fn describe(name: &str, bytes: u64, texts: &[(&str, String)]) -> ModelInfo {
    let id = plain(name);
    let text = |path: &str| texts.iter().find(|(found, _)| *found == path).map(|(_, text)| text.as_str());
    let written = text("fresco.json").and_then(|text| serde_json::from_str::<ModelInfo>(text).ok());
    if let Some(written) = written.filter(|info| info.check().is_ok()) {
        return ModelInfo { id: id.as_str().into(), demo: false, bytes, ..written };
    }
    let config = text("unet/config.json").or_else(|| text("transformer/config.json"));
    let config = config.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let told = config.and_then(|config| config.get("sample_size")?.as_u64());
    let low = id.to_lowercase();
    let large = ["xl", "sd3"].iter().any(|word| low.contains(word));
    let guess = if large { 1024 } else { 512 };
    let side = told.map_or(guess, |side| u32::try_from(side.saturating_mul(8)).unwrap_or(guess));
    let side = side.clamp(64, limits::MAX_SIDE / 2) / 64 * 64;
    // Distilled models are told by their name alone: their configuration is the teacher's.
    let turbo = low.contains("turbo");
    let (default_steps, default_guidance) = if turbo { (4, 0.0) } else { (20, 7.5) };
    ModelInfo {
        name: name.to_owned(),
        description: "A model of your own.".to_owned(),
        demo: false,
        latent_factor: 8,
        min_side: side / 4,
        max_side: side * 2,
        default_side: side,
        default_steps,
        default_guidance,
        default_sampler: Sampler::default(),
        samplers: Sampler::ALL.to_vec(),
        bytes,
        id: id.as_str().into(),
        ..ModelInfo::default()
    }
}

/// A name that can stand in an address and in a file system.
fn plain(name: &str) -> String {
    let stem = name.strip_suffix(".safetensors").unwrap_or(name);
    let kept = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let id: String = stem.chars().take(80).map(kept).collect();
    let id = id.trim_matches(['.', '-']).to_owned();
    match id.as_str() {
        "" => "own-model".to_owned(),
        DEFAULT_MODEL => format!("{DEFAULT_MODEL}-own"),
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_without_what_is_double() {
        let paths = [
            "sd/model_index.json",
            "sd/README.md",
            "sd/sd_turbo.safetensors",
            "sd/unet/config.json",
            "sd/unet/diffusion_pytorch_model.safetensors",
            "sd/unet/diffusion_pytorch_model.fp16.safetensors",
            "sd/tokenizer/merges.txt",
            "sd/vae/diffusion_pytorch_model.bin",
        ];
        let taken: Vec<String> = wanted(&paths).expect("a model").into_iter().map(|(_, to)| to).collect();
        let expected = [
            "model_index.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "tokenizer/merges.txt",
        ];
        assert_eq!(taken, expected);
    }

    #[test]
    fn what_is_no_model_is_refused_in_words() {
        assert_eq!(wanted(&["a.SAFETENSORS"]), Ok(vec![(0, SINGLE.to_owned())]));
        assert!(wanted(&["a.ckpt"]).expect_err("a pickle").contains("pickle"));
        assert!(wanted(&["a.txt"]).is_err() && wanted(&["a/b.json", "a/c.json"]).is_err() && wanted(&[]).is_err());
    }

    #[test]
    fn sides_and_steps_are_guessed() {
        let sides = |name: &str, texts: &[(&str, String)]| describe(name, 1, texts).default_side;
        assert_eq!(sides("dream.safetensors", &[]), 512);
        assert_eq!(sides("DreamXL.safetensors", &[]), 1024);
        assert_eq!(sides("x", &[("unet/config.json", r#"{"sample_size": 96}"#.to_owned())]), 768);
        let turbo = describe("my turbo!.safetensors", 1, &[]);
        assert_eq!((turbo.id.0.as_str(), turbo.default_steps), ("my-turbo", 4));
        for info in [turbo, describe("..", 1, &[]), describe(DEFAULT_MODEL, 1, &[])] {
            info.check().expect("can be used");
            assert!(!info.id.0.is_empty() && info.id.0 != DEFAULT_MODEL, "{}", info.id);
        }
        let odd = describe("x", 1, &[("unet/config.json", r#"{"sample_size": 18446744073709551615}"#.to_owned())]);
        odd.check().expect("can be used");
    }
}

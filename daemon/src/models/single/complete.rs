//! What a single file lacks, and where it is found.

use super::{
    Composed, Plan,
    loose::{self, Needs},
};
use crate::models::{
    ModelFiles, at_once,
    published::{self, Published},
};
use fresco_api::{ApiError, ErrorCode};
use fresco_diffusion::{
    FamilyName, Pipeline,
    weights::checkpoint::{Family, Part},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// A file by which a folder shows that it is a tokenizer.
const TOKENIZERS: [&str; 3] = ["vocab.json", "tokenizer.json", "spiece.model"];

/// Something that a file lacks.
#[derive(Clone, Copy, Debug)]
struct Lack {
    /// Its folder in diffusers' layout.
    folder: &'static str,
    /// The part, where it has weights.
    part: Option<Part>,
    /// Whether the model runs without it.
    optional: bool,
}

/// A plan with everything that the file `path` lacks, and a sentence about the model.
///
/// # Errors
/// Something is missing that neither lies near the file nor is in an installed model of its family.
pub(super) fn complete(path: &Path, alone: Composed, installed: &[PathBuf]) -> Result<(Plan, String), ApiError> {
    let Composed { mut plan, source } = alone;
    // A checkpoint that opened with nothing beside it has a denoiser.
    let family = source.family().ok_or_else(|| broken(path, "has no denoiser"))?;
    let needs = Needs { family, context: source.context(), latent_channels: source.latent_channels() };
    let with_t5 = source.components().contains_key(&Part::TextEncoder3);
    let mut lacks = lacking(family, &source.missing(), with_t5);
    let (mut from, mut t5) = (BTreeSet::new(), None);
    let folders = own_folders(path);
    for folder in &folders {
        take(folder, &mut lacks, &mut plan, &mut from);
    }
    if lacks.iter().any(|lack| lack.part.is_some()) {
        let near = loose::near(path, &folders);
        // Only T5 is optional.
        lacks.retain(|lack| {
            let found = lack.part.and_then(|part| loose::choose(&near, part, needs));
            let Some(file) = found else { return true };
            from.insert(name(file));
            // The model's own file comes last: what it has itself counts.
            if !plan.files.iter().any(|taken| taken == file) {
                plan.files.insert(0, file.to_owned());
            }
            if lack.optional {
                t5 = Some(file.to_owned());
            }
            false
        });
    }
    for folder in installed {
        if !lacks.is_empty() && fits(folder, needs) {
            take(folder, &mut lacks, &mut plan, &mut from);
        }
    }
    if !with_t5 {
        drop_useless_t5(&mut lacks, &mut plan, t5.as_deref());
    }
    let missing: Vec<Lack> = lacks.into_iter().filter(|lack| !lack.optional).collect();
    if !missing.is_empty() {
        return Err(broken(path, &missing_sentence(family, &missing)));
    }
    let from = from.into_iter().collect::<Vec<_>>().join(", ");
    let with = if from.is_empty() { String::new() } else { format!(", completed from {from}") };
    Ok((plan, format!("A single file on this machine{with}")))
}

fn broken(path: &Path, what: &str) -> ApiError {
    ApiError::new(ErrorCode::BadModel, format!("{}: {what}", name(path))).at("model")
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Weights, then tokenizers. T5 may be left out.
fn lacking(family: Family, missing: &[Part], with_t5: bool) -> Vec<Lack> {
    let mut lacks: Vec<Lack> =
        missing.iter().map(|part| Lack { folder: part.folder(), part: Some(*part), optional: false }).collect();
    let tokenizers: &[&'static str] = match family {
        Family::Sd1 | Family::Sd2 => &["tokenizer"],
        Family::Sdxl | Family::Sd3 => &["tokenizer", "tokenizer_2"],
    };
    lacks.extend(tokenizers.iter().map(|folder| Lack { folder, part: None, optional: false }));
    if family == Family::Sd3 {
        if !with_t5 {
            let part = Part::TextEncoder3;
            lacks.push(Lack { folder: part.folder(), part: Some(part), optional: true });
        }
        lacks.push(Lack { folder: "tokenizer_3", part: None, optional: !with_t5 });
    }
    lacks
}

/// The file's folder, and where it is a link that of the file itself.
fn own_folders(path: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let own = parent(path);
    let linked = path.canonicalize().ok().map(|path| parent(&path)).filter(|folder| *folder != own);
    std::iter::once(own).chain(linked).collect()
}

/// Takes from a diffusers folder what is lacking and there.
fn take(folder: &Path, lacks: &mut Vec<Lack>, plan: &mut Plan, from: &mut BTreeSet<String>) {
    lacks.retain(|lack| {
        let place = folder.join(lack.folder);
        let there = match lack.part {
            Some(_) => place.join("config.json").is_file(),
            None => TOKENIZERS.iter().any(|file| place.join(file).is_file()),
        };
        if there {
            plan.beside.parts.insert(lack.folder.to_owned(), place);
            from.insert(name(folder));
        }
        !there
    });
}

/// Whether an installed model has the text encoders and the autoencoder that a denoiser needs.
fn fits(folder: &Path, needs: Needs) -> bool {
    let family = match needs.family {
        Family::Sd1 | Family::Sd2 => FamilyName::StableDiffusion,
        Family::Sdxl => FamilyName::StableDiffusionXl,
        Family::Sd3 => FamilyName::StableDiffusion3,
    };
    let facts = at_once(Pipeline::inspect(&ModelFiles::of_folder(folder)));
    facts.is_ok_and(|facts| facts.family == family && facts.context == needs.context)
}

/// T5 without its tokenizer, or the other way round, is of no use, and the model runs without.
fn drop_useless_t5(lacks: &mut Vec<Lack>, plan: &mut Plan, file: Option<&Path>) {
    if !lacks.iter().any(|lack| lack.optional) {
        return;
    }
    for folder in [Part::TextEncoder3.folder(), "tokenizer_3"] {
        plan.beside.parts.remove(folder);
    }
    plan.files.retain(|taken| Some(taken.as_path()) != file);
    lacks.retain(|lack| !lack.optional);
}

/// What is missing, and how to get it.
fn missing_sentence(family: Family, missing: &[Lack]) -> String {
    let names: Vec<String> = missing.iter().map(|lack| format!("{} ({})", spoken(lack.folder), lack.folder)).collect();
    let family = match family {
        Family::Sd1 => published::Family::Sd1,
        Family::Sd2 => published::Family::Sd2,
        Family::Sdxl => published::Family::Sdxl,
        Family::Sd3 => published::Family::Sd3,
    };
    let entry = Published::all().iter().find(|entry| entry.family == family && entry.repository.is_some());
    let id = entry.map_or("", |entry| entry.id.0.as_str());
    let list = names.join(", ");
    format!("lacks its {list}: put it beside the file, or fetch a model of its family, `fresco models pull {id}`")
}

fn spoken(folder: &str) -> &'static str {
    match folder {
        "vae" => "autoencoder",
        "text_encoder" => "text encoder",
        "text_encoder_2" => "second text encoder",
        "text_encoder_3" => "third text encoder",
        "tokenizer" => "tokenizer",
        "tokenizer_2" => "second tokenizer",
        "tokenizer_3" => "third tokenizer",
        _ => "part",
    }
}

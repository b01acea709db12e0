//! Which files of a repository a model needs: one form of each component's weights, and its configuration.

use super::PullError;
use crate::models::{
    hub::{Digest, Listed, Listing},
    published::{Precision, Published},
};

/// The names that weights have in a component's folder.
const STEMS: [&str; 2] = ["diffusion_pytorch_model", "model"];
/// Endings of configuration and vocabularies.
const TEXTS: [&str; 3] = ["json", "txt", "model"];
/// Half-precision weights have this word in their names.
const HALF: &str = "fp16";

/// A file to fetch, and its place in the model's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub listed: Listed,
    pub to: String,
}

/// The files of `listing` that `entry` needs.
///
/// # Errors
/// A component has no weights that can be read, a configuration is missing, or a known file is another one.
pub(super) fn select(entry: &Published, listing: &Listing, precision: Precision) -> Result<Vec<Chosen>, PullError> {
    let lacks = |what: String| PullError::Incomplete { repository: entry.repository.clone().unwrap_or_default(), what };
    let mut chosen = Vec::new();
    for item in &entry.configuration {
        let found: Vec<Chosen> = match listing.file(item) {
            Some(file) => vec![same_place(file)],
            None => texts(listing, item).map(same_place).collect(),
        };
        if found.is_empty() {
            return Err(lacks(item.clone()));
        }
        chosen.extend(found);
    }
    for component in &entry.components {
        let folder = component.folder.as_str();
        let config = if folder == "." { "config.json".to_owned() } else { format!("{folder}/config.json") };
        chosen.push(same_place(listing.file(&config).ok_or_else(|| lacks(config.clone()))?));
        let weights = weights(listing, folder, precision);
        if weights.is_empty() {
            return Err(lacks(format!("safetensors weights in {folder}")));
        }
        chosen.extend(weights);
    }
    for pin in &entry.pinned {
        let same =
            |file: &Chosen| file.listed.path != pin.path || Some(file.listed.digest) == Digest::from_hex(&pin.sha256);
        if !chosen.iter().all(same) {
            return Err(PullError::Replaced { file: pin.path.clone() });
        }
    }
    Ok(chosen)
}

fn same_place(listed: &Listed) -> Chosen {
    Chosen { listed: listed.clone(), to: listed.path.clone() }
}

/// The files of exactly this folder, with their names in it.
fn inside<'a>(listing: &'a Listing, folder: &'a str) -> impl Iterator<Item = (&'a Listed, &'a str)> {
    listing.files.iter().filter_map(move |file| {
        let (parent, name) = file.path.rsplit_once('/').unwrap_or((".", &file.path));
        (parent == folder).then_some((file, name))
    })
}

fn texts<'a>(listing: &'a Listing, folder: &'a str) -> impl Iterator<Item = &'a Listed> {
    let is_text = |name: &str| name.rsplit_once('.').is_some_and(|(_, ending)| TEXTS.contains(&ending));
    inside(listing, folder).filter(move |(_, name)| is_text(name)).map(|(file, _)| file)
}

/// The wanted form of a folder's weights, or the other one where that is all there is.
fn weights(listing: &Listing, folder: &str, precision: Precision) -> Vec<Chosen> {
    let forms = match precision {
        Precision::Fp16 => [Some(HALF), None],
        Precision::Full => [None, Some(HALF)],
    };
    let all = forms.iter().flat_map(|form| STEMS.iter().map(move |stem| (stem, *form)));
    all.map(|(stem, form)| of_form(listing, folder, stem, form)).find(|found| !found.is_empty()).unwrap_or_default()
}

/// One file, or every shard and their index; nothing when a shard is missing.
fn of_form(listing: &Listing, folder: &str, stem: &str, form: Option<&str>) -> Vec<Chosen> {
    let stem_of_form = form.map_or_else(|| stem.to_owned(), |form| format!("{stem}.{form}"));
    let find = |name: &str| inside(listing, folder).find(|(_, found)| *found == name).map(|(file, _)| file);
    if let Some(whole) = find(&format!("{stem_of_form}.safetensors")) {
        return vec![same_place(whole)];
    }
    let shard = |name: &str| {
        let (number, of) =
            name.strip_prefix(&format!("{stem_of_form}-"))?.strip_suffix(".safetensors")?.split_once("-of-")?;
        Some((number.parse::<usize>().ok()?, of.parse::<usize>().ok()?))
    };
    let shards: Vec<(&Listed, usize)> =
        inside(listing, folder).filter_map(|(file, name)| Some((file, shard(name)?.1))).collect();
    let plain = format!("{stem}.safetensors.index.json");
    let index = form.map_or_else(|| find(&plain), |form| find(&format!("{stem}.safetensors.index.{form}.json")));
    let complete = !shards.is_empty() && shards.iter().all(|(_, of)| *of == shards.len());
    let (Some(index), true) = (index, complete) else { return Vec::new() };
    // A loader looks for the index under its plain name; what it lists are the shards of this form.
    let to = if folder == "." { plain } else { format!("{folder}/{plain}") };
    let index = Chosen { listed: index.clone(), to };
    shards.into_iter().map(|(file, _)| same_place(file)).chain([index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(paths: &[&str]) -> Listing {
        let file = |path: &&str| Listed { path: (*path).to_owned(), size: 1, digest: Digest::None };
        Listing { commit: "c".to_owned(), files: paths.iter().map(file).collect() }
    }

    fn chosen(entry: &str, paths: &[&str], precision: Precision) -> Result<Vec<String>, PullError> {
        let entry = Published::find(entry).expect("an entry");
        let chosen = select(entry, &listing(paths), precision)?;
        Ok(chosen.into_iter().map(|file| format!("{} > {}", file.listed.path, file.to)).collect())
    }

    #[test]
    fn one_form_of_the_weights_is_taken() {
        let paths = [
            "config.json",
            "diffusion_pytorch_model.safetensors",
            "diffusion_pytorch_model.fp16.safetensors",
            "diffusion_pytorch_model.bin",
            "taesd_decoder.safetensors",
            "README.md",
        ];
        let half = chosen("taesd", &paths, Precision::Fp16).expect("chosen");
        assert!(half.iter().any(|file| file.contains("fp16")) && half.len() == 2, "{half:?}");
        let full = chosen("taesd", &paths, Precision::Full).expect("chosen");
        assert!(!full.iter().any(|file| file.contains("fp16")) && full.len() == 2, "{full:?}");
        let only_half = chosen("taesd", &[paths[0], paths[2]], Precision::Full).expect("chosen");
        assert!(only_half.iter().any(|file| file.contains("fp16")), "{only_half:?}");
    }

    #[test]
    fn shards_come_with_their_index_or_not_at_all() {
        let shards = [
            "config.json",
            "model.fp16-00001-of-00002.safetensors",
            "model.fp16-00002-of-00002.safetensors",
            "model.safetensors.index.fp16.json",
        ];
        let found = chosen("taesd", &shards, Precision::Fp16).expect("chosen");
        assert!(
            found.contains(&"model.safetensors.index.fp16.json > model.safetensors.index.json".to_owned()),
            "{found:?}"
        );
        let error = chosen("taesd", &shards[..2], Precision::Fp16).expect_err("a shard is missing");
        assert!(error.to_string().contains("safetensors weights"), "{error}");
    }

    #[test]
    fn a_missing_configuration_is_named() {
        let error = chosen("sd-turbo", &["unet/config.json"], Precision::Fp16).expect_err("nothing there");
        assert!(error.to_string().contains("model_index.json"), "{error}");
    }
}

//! Which files of a repository a model needs: one form of each component's weights, and its configuration.

use super::{Precision, Published};

/// The names that weights have in a component's folder.
const STEMS: [&str; 2] = ["diffusion_pytorch_model", "model"];
/// Endings of configuration and vocabularies.
const TEXTS: [&str; 3] = ["json", "txt", "model"];
/// Half-precision weights have this word in their names.
const HALF: &str = "fp16";

/// A file to fetch, and its place in the model's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its number in the list that was chosen from.
    pub index: usize,
    /// Its path in the folder: the one in the repository, or the name under which a loader looks for it.
    pub to: String,
}

/// Those of a repository's `paths` that `entry` needs.
///
/// # Errors
/// What the repository lacks: a component's weights in a form that can be read, or a configuration.
pub fn select(entry: &Published, paths: &[&str], precision: Precision) -> Result<Vec<Chosen>, String> {
    let listing = Listing(paths);
    let mut chosen = Vec::new();
    for item in &entry.configuration {
        let found: Vec<Chosen> = match listing.file(item) {
            Some(file) => vec![file],
            None => listing.texts(item).collect(),
        };
        if found.is_empty() {
            return Err(item.clone());
        }
        chosen.extend(found);
    }
    for component in &entry.components {
        let folder = component.folder.as_str();
        let config = inside(folder, "config.json");
        chosen.push(listing.file(&config).ok_or(config)?);
        let weights = listing.weights(folder, precision);
        if weights.is_empty() {
            return Err(format!("safetensors weights in {folder}"));
        }
        chosen.extend(weights);
    }
    Ok(chosen)
}

fn inside(folder: &str, name: &str) -> String {
    if folder == "." { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The paths of a repository.
struct Listing<'a>(&'a [&'a str]);

impl<'a> Listing<'a> {
    fn file(&self, path: &str) -> Option<Chosen> {
        self.0.iter().position(|listed| *listed == path).map(|index| self.same_place(index))
    }

    fn same_place(&self, index: usize) -> Chosen {
        Chosen { index, to: self.0.get(index).map_or_else(String::new, |path| (*path).to_owned()) }
    }

    /// The files of exactly this folder, with their names in it.
    fn inside(&self, folder: &str) -> impl Iterator<Item = (usize, &'a str)> {
        let files = self.0.iter().enumerate();
        files.filter_map(move |(index, path)| {
            let (parent, name) = path.rsplit_once('/').unwrap_or((".", *path));
            (parent == folder).then_some((index, name))
        })
    }

    fn texts(&self, folder: &str) -> impl Iterator<Item = Chosen> {
        let is_text = |name: &str| name.rsplit_once('.').is_some_and(|(_, ending)| TEXTS.contains(&ending));
        self.inside(folder).filter(move |(_, name)| is_text(name)).map(move |(index, _)| self.same_place(index))
    }

    /// The wanted form of a folder's weights, or the other one where that is all there is.
    fn weights(&self, folder: &str, precision: Precision) -> Vec<Chosen> {
        let forms = match precision {
            Precision::Fp16 => [Some(HALF), None],
            Precision::Full => [None, Some(HALF)],
        };
        let all = forms.iter().flat_map(|form| STEMS.iter().map(move |stem| (stem, *form)));
        all.map(|(stem, form)| self.of_form(folder, stem, form)).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// One file, or every shard and their index; nothing when a shard is missing.
    fn of_form(&self, folder: &str, stem: &str, form: Option<&str>) -> Vec<Chosen> {
        let stem_of_form = form.map_or_else(|| stem.to_owned(), |form| format!("{stem}.{form}"));
        let find = |name: &str| self.inside(folder).find(|(_, found)| *found == name).map(|(index, _)| index);
        if let Some(whole) = find(&format!("{stem_of_form}.safetensors")) {
            return vec![self.same_place(whole)];
        }
        let shard = |name: &str| {
            let (number, of) =
                name.strip_prefix(&format!("{stem_of_form}-"))?.strip_suffix(".safetensors")?.split_once("-of-")?;
            Some((number.parse::<usize>().ok()?, of.parse::<usize>().ok()?))
        };
        let shards: Vec<(usize, usize)> =
            self.inside(folder).filter_map(|(index, name)| Some((index, shard(name)?.1))).collect();
        let plain = format!("{stem}.safetensors.index.json");
        let index = form.map_or_else(|| find(&plain), |form| find(&format!("{stem}.safetensors.index.{form}.json")));
        let complete = !shards.is_empty() && shards.iter().all(|(_, of)| *of == shards.len());
        let (Some(index), true) = (index, complete) else { return Vec::new() };
        // A loader looks for the index under its plain name; what it lists are the shards of this form.
        let index = Chosen { index, to: inside(folder, &plain) };
        shards.into_iter().map(|(file, _)| self.same_place(file)).chain([index]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(entry: &str, paths: &[&str], precision: Precision) -> Result<Vec<String>, String> {
        let entry = Published::find(entry).expect("an entry");
        let chosen = select(entry, paths, precision)?;
        Ok(chosen.into_iter().map(|file| format!("{} > {}", paths[file.index], file.to)).collect())
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
        let lacks = chosen("taesd", &shards[..2], Precision::Fp16).expect_err("a shard is missing");
        assert!(lacks.contains("safetensors weights"), "{lacks}");
    }

    #[test]
    fn a_missing_configuration_is_named() {
        let lacks = chosen("sd-turbo", &["unet/config.json"], Precision::Fp16).expect_err("nothing there");
        assert_eq!(lacks, "model_index.json");
    }
}

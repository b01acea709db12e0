//! Learned words (textual inversion): files that a prompt names, by `embedding:name` or by the bare word.

use super::{ModelFiles, at_once, fingerprint::Fingerprint, library::is_weights};
use fresco_api::ApiError;
use fresco_diffusion::{
    LoadError,
    prompt::{EXPLICIT, Embedding},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// So many files of learned words are looked at.
const MOST_FILES: usize = 500;
/// No file of a learned word is longer: 75 vectors for each of several text encoders.
const LONGEST: u64 = 16 << 20;

/// A file of a learned word as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct WordFile {
    /// The file.
    pub path: PathBuf,
    seen: Fingerprint,
}

impl WordFile {
    /// A file as it is now.
    pub fn new(path: PathBuf) -> Self {
        Self { seen: Fingerprint::of_file(&path), path }
    }

    /// The word, and the same under the file's name where the file names it otherwise.
    ///
    /// # Errors
    /// The file is missing, damaged, or holds no learned word.
    pub async fn read(&self) -> Result<Vec<Embedding>, LoadError> {
        let (folder, name) = ModelFiles::of_file(&self.path);
        let word = Embedding::read(&folder, &name).await?;
        let stem = stem(&self.path);
        let mut words = vec![word.clone()];
        if word.name != stem {
            let mut named = word;
            named.name = stem;
            words.push(named);
        }
        Ok(words)
    }
}

/// The words of several files.
///
/// # Errors
/// As [`WordFile::read`].
pub async fn read(files: &[WordFile]) -> Result<Vec<Embedding>, LoadError> {
    let mut words = Vec::new();
    for file in files {
        words.extend(file.read().await?);
    }
    Ok(words)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a word has vectors for each of these text encoders.
fn fits(words: &[Embedding], widths: &[usize]) -> bool {
    words.iter().all(|word| widths.iter().all(|width| word.has_width(*width)))
}

/// A file of a command line.
///
/// # Errors
/// It is no learned word, or one for other text encoders than those of these `widths`; the field is `embedding`.
pub(super) fn check(file: &WordFile, widths: &[usize]) -> Result<(), ApiError> {
    let words = at_once(file.read()).map_err(|error| ApiError::from(error).at("embedding"))?;
    match fits(&words, widths) {
        true => Ok(()),
        false => Err(misfit("embedding", &stem(&file.path))),
    }
}

/// The files of the words that a request's texts name, each text with its field, for text encoders of these widths.
///
/// # Errors
/// A word behind `embedding:` that there is not, or that does not fit. A bare word that does not fit is only a word.
pub(super) fn named_in(
    texts: &[(&str, &str)],
    folders: &[PathBuf],
    widths: &[usize],
) -> Result<Vec<WordFile>, ApiError> {
    if texts.iter().all(|(_, text)| text.trim().is_empty()) {
        return Ok(Vec::new());
    }
    let shelf = shelf(folders);
    let mut found = Vec::new();
    for (field, text) in texts {
        for name in explicit(text) {
            let file = shelf.iter().find(|path| stem(path).eq_ignore_ascii_case(name));
            let file = WordFile::new(file.ok_or_else(|| unknown(field, name))?.clone());
            let words = at_once(file.read()).map_err(|error| ApiError::from(error).at(field))?;
            if !fits(&words, widths) {
                return Err(misfit(field, name));
            }
            found.push(file);
        }
    }
    let lower: Vec<String> = texts.iter().map(|(_, text)| text.to_ascii_lowercase()).collect();
    for path in shelf {
        let file = WordFile::new(path);
        // What is damaged says so where it is named with `embedding:`.
        let Ok(words) = at_once(file.read()) else { continue };
        let said = words.iter().any(|word| lower.iter().any(|text| says(text, &word.name.to_ascii_lowercase())));
        if said && fits(&words, widths) && !found.contains(&file) {
            found.push(file);
        }
    }
    Ok(found)
}

/// Every file of the folders, those of earlier folders first.
fn shelf(folders: &[PathBuf]) -> Vec<PathBuf> {
    let files = |folder: &PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = entries.filter(|path| is_word(path)).collect();
        files.sort();
        files
    };
    folders.iter().flat_map(files).take(MOST_FILES).collect()
}

fn is_word(path: &Path) -> bool {
    let named = path.file_name().is_some_and(|name| is_weights(&name.to_string_lossy()));
    named && fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= LONGEST)
}

/// The names behind `embedding:`, up to white space or syntax.
fn explicit(text: &str) -> Vec<&str> {
    let lower = text.to_ascii_lowercase();
    let ends = |c: char| c.is_whitespace() || ",;:()[]<>{}|\"".contains(c);
    let name = |(at, _): (usize, &str)| {
        let rest = &text[at + EXPLICIT.len()..];
        let name = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let name = name.strip_suffix(".safetensors").unwrap_or(name);
        (!name.is_empty()).then_some(name)
    };
    // Lower-casing of ASCII letters alone keeps every byte's place.
    lower.match_indices(EXPLICIT).filter_map(name).collect()
}

/// Whether a text has a word, where no letter or digit continues it.
fn says(text: &str, word: &str) -> bool {
    let joined = |at: usize| {
        let before = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        before && text[at..].chars().next().is_some_and(char::is_alphanumeric)
    };
    !word.trim().is_empty() && text.match_indices(word).any(|(at, _)| !joined(at) && !joined(at + word.len()))
}

fn unknown(field: &str, name: &str) -> ApiError {
    let name: String = name.chars().take(80).collect();
    let message =
        format!("There is no embedding {name:?}: its file belongs into the folder `embeddings` of FRESCO_HOME");
    ApiError::field(field, message)
}

fn misfit(field: &str, name: &str) -> ApiError {
    let name: String = name.chars().take(80).collect();
    ApiError::field(field, format!("The embedding {name:?} was learned for the text encoders of another kind of model"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_they_are_written() {
        assert_eq!(explicit("a (embedding:ink:1.2), embedding:Old-ink.safetensors"), ["ink", "Old-ink"]);
        assert_eq!(explicit("Embedding:a embedding: b embedding:"), ["a"]);
        assert!(says("a red-ink house", "red-ink") && says("(ink:1.1)", "ink"));
        assert!(!says("pinky", "ink") && !says("ink2", "ink") && !says("x", ""));
    }

    #[test]
    fn a_word_that_is_not_there_names_its_field() {
        for (field, texts) in [
            ("prompt", [("prompt", "a embedding:none"), ("negativePrompt", "")]),
            ("negativePrompt", [("prompt", "a"), ("negativePrompt", "embedding:../x")]),
        ] {
            let error = named_in(&texts, &[], &[768]).expect_err("is refused");
            assert_eq!(error.field.as_deref(), Some(field), "{error}");
        }
        assert_eq!(named_in(&[("prompt", "plain words")], &[], &[768]).expect("nothing is named"), []);
    }
}

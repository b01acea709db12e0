//! Looking through folders for what may be a model.

use super::Manifest;
use crate::models::folder::INDEX;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// How deep the user's own folders are searched.
const DEPTH: usize = 3;
/// How many entries of the user's own folders are looked at.
const MOST_ENTRIES: usize = 5_000;

/// Something on the disk that may be a model.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name: the folder's, or the file's without its ending.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: FoundKind,
    /// Its bytes, where they are known without reading a folder through.
    pub bytes: u64,
}

/// What lies there.
#[derive(Clone, Debug)]
pub enum FoundKind {
    /// A diffusers folder with its index.
    Folder,
    /// A pulled folder that is no whole model, such as an autoencoder.
    Part(Box<Manifest>),
    /// A single file of weights.
    File,
}

/// The shelf's own entries, sorted.
pub(super) fn shelf(shelf: &Path) -> Vec<Found> {
    sorted(shelf).iter().filter_map(|path| look(path)).collect()
}

/// What a folder of the user's own holds at some depth, sorted.
pub(super) fn root(root: &Path) -> Vec<Found> {
    let mut left = MOST_ENTRIES;
    let mut found = Vec::new();
    search(root, DEPTH, &mut left, &mut found);
    found
}

fn search(path: &Path, depth: usize, left: &mut usize, found: &mut Vec<Found>) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    if let Some(model) = look(path) {
        found.push(model);
    } else if depth > 0 && path.is_dir() {
        for inner in sorted(path) {
            search(&inner, depth - 1, left, found);
        }
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let visible = |path: &PathBuf| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).filter(visible).collect();
    paths.sort();
    paths
}

fn look(path: &Path) -> Option<Found> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let found = fs::metadata(path).ok()?;
    if found.is_file() {
        let stem = is_weights(&name).then(|| name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem))?;
        return Some(Found { id: stem.to_owned(), path: path.to_owned(), kind: FoundKind::File, bytes: found.len() });
    }
    let manifest = Manifest::read(path);
    let bytes = manifest.as_ref().map_or(0, |manifest| manifest.files.iter().map(|file| file.size).sum());
    let kind = match manifest {
        _ if path.join(INDEX).is_file() => FoundKind::Folder,
        Some(manifest) => FoundKind::Part(Box::new(manifest)),
        None => return None,
    };
    Some(Found { id: name, path: path.to_owned(), kind, bytes })
}

/// Whether a file's name is that of weights that can be read without running anybody's code.
pub(in crate::models) fn is_weights(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| ["safetensors", "gguf"].contains(&ending.as_str()))
}

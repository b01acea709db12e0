//! Putting the user's own model on the shelf: linked where it lies, or copied.

use super::{Library, LibraryError, scan::is_weights};
use crate::models::folder::INDEX;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A folder of a model has no more files.
const MOST_FILES: usize = 20_000;

/// What was put on the shelf.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its name there.
    pub id: String,
    /// Where it is.
    pub place: PathBuf,
    /// Whether it was copied; otherwise the shelf has a link.
    pub copied: bool,
}

impl Library {
    /// Puts a diffusers folder or a single file of weights on the shelf, as `name` or under its own name.
    ///
    /// # Errors
    /// The path is no model, the name is taken or no name, or the disk refuses.
    pub fn import(&self, from: &Path, name: Option<&str>, copy: bool) -> Result<Imported, LibraryError> {
        let from = from.canonicalize().map_err(|error| LibraryError::disk(from, error))?;
        check(&from)?;
        let own = from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let ending = from.extension().filter(|_| from.is_file()).map(|ending| ending.to_string_lossy().into_owned());
        let name = match (name, &ending) {
            (None, _) => own,
            // A file keeps its ending: its form is told by it.
            (Some(name), Some(ending)) if !is_weights(name) => format!("{name}.{ending}"),
            (Some(name), _) => name.to_owned(),
        };
        let place = self.place(&name)?;
        if place.symlink_metadata().is_ok() {
            return Err(LibraryError::Taken(name));
        }
        let shelf = self.shelf.canonicalize().unwrap_or_else(|_| self.shelf.clone());
        if shelf.starts_with(&from) {
            return Err(LibraryError::no_model(&from, "the shelf itself lies in it"));
        }
        let _lock = self.lock()?;
        let copied = copy || !cfg!(unix);
        let put = if copied { self.copy(&from, &place, &name) } else { link(&from, &place) };
        put.map_err(|error| LibraryError::disk(&place, error))?;
        let id = ending.as_ref().and_then(|ending| name.strip_suffix(&format!(".{ending}")));
        Ok(Imported { id: id.unwrap_or(&name).to_owned(), place, copied })
    }

    fn copy(&self, from: &Path, place: &Path, name: &str) -> io::Result<()> {
        let aside = self.aside(".new", name);
        if from.is_file() {
            fs::copy(from, &aside)?;
        } else {
            copy_folder(from, &aside, &mut 0)?;
        }
        fs::rename(&aside, place)
    }
}

fn check(from: &Path) -> Result<(), LibraryError> {
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    if from.is_dir() {
        let found = from.join(INDEX).is_file();
        let reason = format!("is no diffusers folder: it has no {INDEX}");
        return if found { Ok(()) } else { Err(LibraryError::no_model(from, reason)) };
    }
    if is_weights(&name) {
        return Ok(());
    }
    let pickled = [".ckpt", ".pt", ".pth", ".bin"].iter().any(|ending| name.to_lowercase().ends_with(ending));
    Err(LibraryError::no_model(
        from,
        if pickled {
            "is a pickle, which can run code when it is read; take the model's .safetensors file"
        } else {
            "is neither a diffusers folder nor a .safetensors or .gguf file"
        },
    ))
}

#[cfg(unix)]
fn link(from: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(from, place)
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::other("links are not made on this system"))
}

/// Copies plain files and folders; a link is copied as what it points to.
fn copy_folder(from: &Path, to: &Path, files: &mut usize) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        *files += 1;
        if *files > MOST_FILES {
            return Err(io::Error::other(format!("has more than {MOST_FILES} files")));
        }
        let target = to.join(entry.file_name());
        let found = fs::metadata(entry.path())?;
        if found.is_file() {
            fs::copy(entry.path(), target)?;
        } else if found.is_dir() && entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target, files)?;
        }
    }
    Ok(())
}

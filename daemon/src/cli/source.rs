//! A model that a command line names: a catalogue entry or a folder.

use super::Problem;
use crate::{
    config::model_path,
    models::{Catalogue, Model},
};
use fresco_api::ModelId;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The catalogue and the model in it that `named` means; the default model when nothing is named.
///
/// What looks like a path is a path; any other name is a catalogue entry first.
pub(super) fn find(home: &Path, named: Option<&str>) -> Result<(Arc<Catalogue>, Arc<Model>), Problem> {
    let catalogue = match named {
        Some(path) if path.contains(['/', '\\']) || path == "." || path == ".." => of_folder(home, path),
        _ => Catalogue::new(home, Vec::new()).searching(home, model_path()),
    };
    let id = named.filter(|_| catalogue.has_shelf()).map(ModelId::from);
    let catalogue = match (catalogue.find(id.as_ref()), named) {
        (Ok(model), _) => return Ok((Arc::new(catalogue), model)),
        (Err(_), Some(name)) if catalogue.has_shelf() && Path::new(name).is_dir() => of_folder(home, name),
        (Err(error), _) => return Err(error.into()),
    };
    let model = catalogue.find(None)?;
    Ok((Arc::new(catalogue), model))
}

fn of_folder(home: &Path, path: &str) -> Catalogue {
    Catalogue::of_folder(PathBuf::from(path)).with_loras(home)
}

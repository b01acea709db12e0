//! A model that a command line names: a catalogue entry, a folder or a single file; with another autoencoder where one
//! is said.

use super::Problem;
use crate::{
    config::model_path,
    models::{Catalogue, Model, with_vae},
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
        Some(path) if path.contains(['/', '\\']) || path == "." || path == ".." => of_path(home, path)?,
        _ => whole(home),
    };
    let id = named.filter(|_| catalogue.has_shelf()).map(ModelId::from);
    let catalogue = match (catalogue.find(id.as_ref()), named) {
        (Ok(model), _) => return Ok((Arc::new(catalogue), model)),
        (Err(_), Some(name)) if catalogue.has_shelf() && Path::new(name).exists() => of_path(home, name)?,
        (Err(error), _) => return Err(error.into()),
    };
    let model = catalogue.find(None)?;
    Ok((Arc::new(catalogue), model))
}

/// As [`find`], with the autoencoder of `vae` in place of the model's own, and the file that holds it.
pub(super) fn find_with_vae(
    home: &Path,
    named: Option<&str>,
    vae: &Path,
) -> Result<(Arc<Catalogue>, Arc<Model>, PathBuf), Problem> {
    let (_, model) = find(home, named)?;
    let (files, weights) = with_vae(&model.files, vae)?;
    let model = Arc::new(Model { info: model.info.clone(), files });
    Ok((Arc::new(alone(home, model.clone())), model, weights))
}

/// Everything that is on this machine.
fn whole(home: &Path) -> Catalogue {
    Catalogue::new(home, Vec::new()).searching(home, model_path())
}

/// One model; LoRAs and learned words are where they always are.
fn alone(home: &Path, model: Arc<Model>) -> Catalogue {
    Catalogue::of_model(model).with_shelves(home, &model_path())
}

fn of_path(home: &Path, path: &str) -> Result<Catalogue, Problem> {
    let path = Path::new(path);
    if path.is_file() {
        return Ok(alone(home, whole(home).open_file(path)?));
    }
    Ok(Catalogue::of_folder(path.to_owned()).with_shelves(home, &model_path()))
}

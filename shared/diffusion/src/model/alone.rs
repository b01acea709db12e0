//! A part of a model read from a folder by itself.

use crate::{
    Device, LoadError, Observer, Source,
    config::read_json,
    weights::{self, Progress, Weights},
};
use serde::de::DeserializeOwned;

/// Reads a part's configuration and checks it, and lets `load` read what it wants of its weights.
///
/// # Errors
/// A file is missing or damaged, or of a kind that is not built; or the observer cancelled it.
pub(super) async fn open<C: DeserializeOwned, T, S: Source, O: Observer>(
    (source, folder): (&S, &str),
    device: &Device,
    observer: &mut O,
    check: fn(&C, &str) -> Result<(), LoadError>,
    load: impl AsyncFnOnce(&mut Weights<'_, S, O>, &C) -> Result<T, LoadError>,
) -> Result<(C, T), LoadError> {
    let file = format!("{folder}/config.json");
    let config: C = read_json(source, &file).await?;
    check(&config, &file)?;
    let files = weights::files(source, &format!("{folder}/diffusion_pytorch_model")).await?;
    let mut progress = Progress::of(source, &files).await?;
    let mut weights = Weights::open(source, &files, device, observer, &mut progress).await?;
    let loaded = load(&mut weights, &config).await?;
    Ok((config, loaded))
}

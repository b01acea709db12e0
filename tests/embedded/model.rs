//! The embedded model, loaded once for all tests.

use fresco_api::{ImageRequest, ModelInfo, Params};
use fresco_diffusion::{Device, Output, Pipeline, Prepared, Silent, Source, SourceError, Start};
use std::{future::Future, ops::Range, path::PathBuf, sync::OnceLock};

/// A folder on disk.
pub struct Folder(pub PathBuf);

impl Source for Folder {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        Ok(std::fs::metadata(self.0.join(file)).ok().map(|file| file.len()))
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        let bytes = std::fs::read(self.0.join(file)).map_err(|error| SourceError::new(file, error))?;
        Ok(bytes[range.start as usize..range.end as usize].to_vec())
    }
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts").block_on(future)
}

/// The model's.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../public/models/fresco-tiny")
}

/// What the catalogue says about it.
pub fn info() -> ModelInfo {
    let json = std::fs::read(folder().join("fresco.json")).expect("the model has a catalogue entry");
    serde_json::from_slice(&json).expect("the entry is whole")
}

pub fn pipeline() -> &'static Pipeline {
    static PIPELINE: OnceLock<Pipeline> = OnceLock::new();
    PIPELINE.get_or_init(|| {
        block_on(Pipeline::load(&Folder(folder()), &Device::flex(), &mut Silent)).expect("the embedded model loads")
    })
}

/// The complete parameters of a prompt, with the model's defaults.
pub fn params(prompt: &str, seed: u64) -> Params {
    let request = ImageRequest { prompt: prompt.to_owned(), seed: Some(seed), ..Default::default() };
    request.resolve(&info(), 0).expect("the request is fine")
}

pub fn generate(params: &Params) -> Output {
    block_on(pipeline().generate(params, &mut Silent)).expect("it runs")
}

pub fn transform(params: &Params, start: &Start<'_>) -> Output {
    block_on(pipeline().transform(params, start, &mut Silent)).expect("it runs")
}

pub fn edit(params: &Params, prepared: &Prepared) -> Output {
    block_on(pipeline().edit(params, prepared, &mut Silent)).expect("it runs")
}

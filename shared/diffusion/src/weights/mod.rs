//! Reads weights files (safetensors, GGUF) through a [`Source`], one tensor at a time.
//!
//! A file's header is checked as a whole before the first tensor is read; host memory then stays
//! near the size of the largest tensor.

pub mod checkpoint;
mod entry;
mod footprint;
mod gguf;
mod header;
mod kept;
pub mod lora;
mod pack;
mod precision;
mod raw;
mod safetensors;
mod same;
mod scope;
mod storage;
mod table;

use crate::{Device, LoadError, Observer, Source, Stage};
use burn::tensor::{Tensor, TensorData};
use std::{
    collections::BTreeMap,
    ops::{ControlFlow, Range},
};

pub use entry::{Entry, Listing, View};
pub use footprint::Footprint;
pub use gguf::{Block, quantise_q8_0};
pub use header::{Header, read as header};
pub use kept::{Keeping, Kept};
pub use precision::{Kind, Precision};
pub use raw::Raw;
pub use same::same;
pub use scope::Scope;
pub use storage::Storage;
pub use table::Table;

/// Gives tensors by their published names.
pub trait Load {
    /// The tensor `name`, of exactly this shape, as f32 values in row-major order.
    fn values(&mut self, name: &str, shape: &[usize]) -> impl Future<Output = Result<Vec<f32>, LoadError>>;
    /// The same as its file holds them, where nothing is done to them on the way.
    fn raw(&mut self, name: &str, shape: &[usize]) -> impl Future<Output = Result<Raw, LoadError>> {
        async move { Ok(Raw::Values(self.values(name, shape).await?)) }
    }
    /// Some of a tensor's values in row-major order: for a table that is far larger than what is needed of it.
    fn part(
        &mut self,
        name: &str,
        shape: &[usize],
        part: Range<usize>,
    ) -> impl Future<Output = Result<Vec<f32>, LoadError>> {
        async move {
            let values = self.values(name, shape).await?;
            let found = values.get(part.clone()).map(<[f32]>::to_vec);
            found.ok_or_else(|| LoadError::bad(name, format!("has no values {part:?}")))
        }
    }
    /// The tensor's shape, or `None` when there is no such tensor.
    fn shape(&self, name: &str) -> Option<&[usize]>;
    /// Where tensors are put.
    fn device(&self) -> &Device;
    /// In how many bits weights stay on the device.
    fn precision(&self) -> Precision {
        Precision::F32
    }
    /// Where laid-out tensors are kept for the next time, if they are.
    fn kept(&mut self) -> Option<&mut Kept> {
        None
    }
}

/// The weights of one component: one file, or several behind an index.
pub struct Weights<'a, S, O> {
    source: &'a S,
    observer: &'a mut O,
    device: &'a Device,
    listing: Listing,
    progress: &'a mut Progress,
}

/// Bytes of weights read so far, over all components.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes read.
    pub loaded: u64,
    /// Bytes in all.
    pub total: u64,
}

impl Progress {
    /// Nothing yet of these files.
    ///
    /// # Errors
    /// A file is missing.
    pub async fn of(source: &impl Source, files: &[String]) -> Result<Self, LoadError> {
        let mut total = 0;
        for file in files {
            total += source.len(file).await?.ok_or_else(|| LoadError::bad(file, "the file is missing"))?;
        }
        Ok(Self { loaded: 0, total })
    }
}

/// The weight files of a component's folder, under the names that diffusers and transformers use.
///
/// `stem` is `unet/diffusion_pytorch_model` or `text_encoder/model`.
///
/// # Errors
/// The first name is missing and so is every other form of it.
pub async fn files(source: &impl Source, stem: &str) -> Result<Vec<String>, LoadError> {
    for suffix in [".safetensors", ".fp16.safetensors"] {
        let file = format!("{stem}{suffix}");
        if source.len(&file).await?.is_some() {
            return Ok(vec![file]);
        }
    }
    let index = format!("{stem}.safetensors.index.json");
    if source.len(&index).await?.is_none() {
        return Err(LoadError::bad(&format!("{stem}.safetensors"), "the file is missing"));
    }
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let Index { weight_map } = crate::config::read_json(source, &index).await?;
    let folder = stem.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut shards: Vec<String> = weight_map.into_values().map(|file| format!("{folder}/{file}")).collect();
    shards.sort();
    shards.dedup();
    if shards.is_empty() {
        return Err(LoadError::bad(&index, "names no file"));
    }
    match shards.iter().find(|file| file.contains("..") || file.contains('\\')) {
        Some(file) => Err(LoadError::bad(&index, format!("names {file:?}, which leaves the folder"))),
        None => Ok(shards),
    }
}

/// The tensors of a component's files.
///
/// # Errors
/// A file is missing, truncated or damaged.
pub async fn listing(source: &impl Source, files: &[String]) -> Result<Listing, LoadError> {
    let mut all = Listing { file: files.first().cloned().unwrap_or_default(), ..Listing::default() };
    for file in files {
        match source.listing(file) {
            Some(known) => {
                all.file.clone_from(&known.file);
                all.tensors.extend(known.tensors.clone());
            }
            None => all.tensors.extend(header::read(source, file).await?.tensors),
        }
    }
    Ok(all)
}

impl<'a, S: Source, O: Observer> Weights<'a, S, O> {
    /// Reads the headers of `files`, unless the source knows their tensors already.
    ///
    /// # Errors
    /// A file is missing, truncated or damaged.
    pub async fn open(
        source: &'a S,
        files: &[String],
        device: &'a Device,
        observer: &'a mut O,
        progress: &'a mut Progress,
    ) -> Result<Self, LoadError> {
        Ok(Self { source, observer, device, listing: listing(source, files).await?, progress })
    }

    /// The tensors that there are.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// The weights from their root.
    pub fn root(&mut self) -> Scope<'_, Self> {
        Scope::root(self)
    }
}

impl<S: Source, O: Observer> Load for Weights<'_, S, O> {
    async fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        Ok(self.raw(name, shape).await?.decode())
    }

    async fn raw(&mut self, name: &str, shape: &[usize]) -> Result<Raw, LoadError> {
        let entry = self
            .listing
            .tensors
            .get(name)
            .ok_or_else(|| LoadError::MissingTensor { file: self.listing.file.clone(), tensor: name.to_owned() })?;
        if entry.shape != shape {
            return Err(LoadError::WrongShape {
                file: entry.file.clone(),
                tensor: name.to_owned(),
                found: entry.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        let raw = entry.raw(self.source, name).await?;
        let length = entry.range.end - entry.range.start;
        self.progress.loaded += length;
        let Progress { loaded, total } = *self.progress;
        match self.observer.reached(Stage::Loading { loaded, total }).await {
            ControlFlow::Continue(()) => Ok(raw),
            ControlFlow::Break(()) => Err(LoadError::Cancelled),
        }
    }

    async fn part(&mut self, name: &str, shape: &[usize], part: Range<usize>) -> Result<Vec<f32>, LoadError> {
        let entry = self.listing.tensors.get(name).filter(|entry| entry.shape == shape);
        let Some(entry) = entry else {
            // The whole tensor has the right error.
            self.values(name, shape).await?;
            return Ok(Vec::new());
        };
        let values = entry.read_part(self.source, name, part).await?;
        self.progress.loaded += entry.stored(values.len());
        Ok(values)
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.listing.shape(name)
    }

    fn device(&self) -> &Device {
        self.device
    }
}

/// A tensor from values in row-major order.
pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

//! Reads safetensors through a [`Source`], one tensor at a time.
//!
//! A file's header is checked as a whole before the first tensor is read; host memory then stays
//! near the size of the largest tensor.

mod header;
mod scope;

use crate::{Device, LoadError, Observer, Source, Stage};
use burn::tensor::{Tensor, TensorData};
pub(crate) use header::read as tensors;
pub use header::{Entry, Float};
use std::{collections::BTreeMap, ops::ControlFlow};

pub use scope::Scope;

/// Gives tensors by their published names.
pub trait Load {
    /// The tensor `name`, of exactly this shape, as f32 values in row-major order.
    fn values(&mut self, name: &str, shape: &[usize]) -> impl Future<Output = Result<Vec<f32>, LoadError>>;
    /// The tensor's shape, or `None` when there is no such tensor.
    fn shape(&self, name: &str) -> Option<&[usize]>;
    /// Where tensors are put.
    fn device(&self) -> &Device;
}

/// The weights of one component: one file, or several behind an index.
pub struct Weights<'a, S, O> {
    source: &'a S,
    observer: &'a mut O,
    device: &'a Device,
    /// The file that errors name when a tensor is in none.
    main: String,
    tensors: BTreeMap<String, Entry>,
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

impl<'a, S: Source, O: Observer> Weights<'a, S, O> {
    /// Reads the headers of `files`.
    pub async fn open(
        source: &'a S,
        files: &[String],
        device: &'a Device,
        observer: &'a mut O,
        progress: &'a mut Progress,
    ) -> Result<Self, LoadError> {
        let mut tensors = BTreeMap::new();
        for file in files {
            tensors.extend(header::read(source, file).await?);
        }
        let main = files.first().cloned().unwrap_or_default();
        Ok(Self { source, observer, device, main, tensors, progress })
    }

    /// The weights from their root.
    pub fn root(&mut self) -> Scope<'_, Self> {
        Scope::root(self)
    }
}

impl<S: Source, O: Observer> Load for Weights<'_, S, O> {
    async fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let entry = self
            .tensors
            .get(name)
            .ok_or_else(|| LoadError::MissingTensor { file: self.main.clone(), tensor: name.to_owned() })?;
        if entry.shape != shape {
            return Err(LoadError::WrongShape {
                file: entry.file.clone(),
                tensor: name.to_owned(),
                found: entry.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        let float = entry
            .float
            .as_ref()
            .map_err(|dtype| LoadError::unsupported(&entry.file, format!("the type {dtype} of tensor {name}")))?;
        let length = entry.range.end - entry.range.start;
        let bytes = self.source.read(&entry.file, entry.range.clone()).await?;
        if bytes.len() as u64 != length {
            return Err(LoadError::bad(&entry.file, format!("{} of {length} bytes of {name} came", bytes.len())));
        }
        let values = float.decode(&bytes);
        self.progress.loaded += length;
        let Progress { loaded, total } = *self.progress;
        match self.observer.reached(Stage::Loading { loaded, total }).await {
            ControlFlow::Continue(()) => Ok(values),
            ControlFlow::Break(()) => Err(LoadError::Cancelled),
        }
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    fn device(&self) -> &Device {
        self.device
    }
}

/// A tensor from values in row-major order.
pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

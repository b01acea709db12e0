//! Tensors on the device that a model was built from, to build it again without reading them again.
//!
//! A tensor here and in the model is the same memory. When LoRAs change, only what they touch is
//! forgotten; building the model again then reads that from its file, exactly as at first, and takes
//! everything else from here. Another model with the same weights may be built from a copy: it then
//! shares the memory. The models need to know nothing of it.

use super::{Load, Precision, Raw, Scope, Table};
use crate::{Device, LoadError};
use burn::tensor::Tensor;
use fresco_kernels::Weight;
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// Laid-out tensors by published name.
#[derive(Clone, Default)]
pub struct Kept {
    vectors: BTreeMap<String, Tensor<1>>,
    matrices: BTreeMap<String, Weight<2>>,
    filters: BTreeMap<String, Weight<4>>,
    tables: BTreeMap<String, Arc<Table>>,
}

impl Kept {
    /// Lets go of a tensor.
    pub fn forget(&mut self, name: &str) {
        self.vectors.remove(name);
        self.matrices.remove(name);
        self.filters.remove(name);
        self.tables.remove(name);
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.vectors.len() + self.matrices.len() + self.filters.len() + self.tables.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the device. Tables are on the host.
    pub fn bytes(&self) -> u64 {
        let vectors: u64 = self.vectors.values().map(|vector| 4 * vector.dims()[0] as u64).sum();
        let matrices: u64 = self.matrices.values().map(Weight::bytes).sum();
        let filters: u64 = self.filters.values().map(Weight::bytes).sum();
        vectors + matrices + filters
    }

    pub(super) fn vectors(&mut self) -> &mut BTreeMap<String, Tensor<1>> {
        &mut self.vectors
    }

    pub(super) fn matrices(&mut self) -> &mut BTreeMap<String, Weight<2>> {
        &mut self.matrices
    }

    pub(super) fn filters(&mut self) -> &mut BTreeMap<String, Weight<4>> {
        &mut self.filters
    }

    pub(super) fn tables(&mut self) -> &mut BTreeMap<String, Arc<Table>> {
        &mut self.tables
    }
}

/// Weights whose laid-out tensors are kept, and taken from there when they are asked for again.
pub struct Keeping<'a, W> {
    weights: W,
    kept: &'a mut Kept,
    precision: Precision,
}

impl<'a, W> Keeping<'a, W> {
    /// What `weights` give is kept in `kept`, as f32.
    pub fn new(weights: W, kept: &'a mut Kept) -> Self {
        Self { weights, kept, precision: Precision::F32 }
    }

    /// The same in so many bits. What is kept already stays as it is.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }
}

impl<W: Load> Keeping<'_, W> {
    /// The weights from their root.
    pub fn root(&mut self) -> Scope<'_, Self> {
        Scope::root(self)
    }
}

impl<W: Load> Load for Keeping<'_, W> {
    async fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        self.weights.values(name, shape).await
    }

    async fn raw(&mut self, name: &str, shape: &[usize]) -> Result<Raw, LoadError> {
        self.weights.raw(name, shape).await
    }

    async fn part(&mut self, name: &str, shape: &[usize], part: Range<usize>) -> Result<Vec<f32>, LoadError> {
        self.weights.part(name, shape, part).await
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.shape(name)
    }

    fn device(&self) -> &Device {
        self.weights.device()
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn kept(&mut self) -> Option<&mut Kept> {
        Some(self.kept)
    }
}

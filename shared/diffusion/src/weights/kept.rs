//! Tensors on the device that a model was built from, to build it again without reading them again.
//!
//! A tensor here and in the model is the same memory. When LoRAs change, only what they touch is
//! forgotten; building the model again then reads that from its file, exactly as at first, and takes
//! everything else from here. The models need to know nothing of it.

use super::{Load, Scope};
use crate::{Device, LoadError};
use burn::tensor::Tensor;
use std::{collections::BTreeMap, ops::Range};

/// Laid-out tensors by published name.
#[derive(Default)]
pub struct Kept {
    vectors: BTreeMap<String, Tensor<1>>,
    matrices: BTreeMap<String, Tensor<2>>,
    filters: BTreeMap<String, Tensor<4>>,
}

impl Kept {
    /// Lets go of a tensor.
    pub fn forget(&mut self, name: &str) {
        self.vectors.remove(name);
        self.matrices.remove(name);
        self.filters.remove(name);
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.vectors.len() + self.matrices.len() + self.filters.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn vectors(&mut self) -> &mut BTreeMap<String, Tensor<1>> {
        &mut self.vectors
    }

    pub(super) fn matrices(&mut self) -> &mut BTreeMap<String, Tensor<2>> {
        &mut self.matrices
    }

    pub(super) fn filters(&mut self) -> &mut BTreeMap<String, Tensor<4>> {
        &mut self.filters
    }
}

/// Weights whose laid-out tensors are kept, and taken from there when they are asked for again.
pub struct Keeping<'a, W> {
    weights: W,
    kept: &'a mut Kept,
}

impl<'a, W> Keeping<'a, W> {
    /// What `weights` give is kept in `kept`.
    pub fn new(weights: W, kept: &'a mut Kept) -> Self {
        Self { weights, kept }
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

    async fn part(&mut self, name: &str, shape: &[usize], part: Range<usize>) -> Result<Vec<f32>, LoadError> {
        self.weights.part(name, shape, part).await
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.shape(name)
    }

    fn device(&self) -> &Device {
        self.weights.device()
    }

    fn kept(&mut self) -> Option<&mut Kept> {
        Some(self.kept)
    }
}

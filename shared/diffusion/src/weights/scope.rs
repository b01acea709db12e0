//! A place in the tree of published tensor names, and the layers that are read from there.

use super::{Kept, Load, Raw, Table, pack, tensor};
use crate::{LoadError, model::Linear};
use burn::tensor::Tensor;
use fresco_kernels::{Conv2d, Norm, Padding};
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// A prefix of tensor names, such as `down_blocks.0.resnets.1.`.
pub struct Scope<'a, W> {
    weights: &'a mut W,
    prefix: String,
}

impl<'a, W: Load> Scope<'a, W> {
    /// The empty prefix.
    pub fn root(weights: &'a mut W) -> Self {
        Self { weights, prefix: String::new() }
    }

    /// One part further down; `part` may have dots.
    pub fn at(&mut self, part: impl std::fmt::Display) -> Scope<'_, W> {
        Scope { prefix: format!("{}{part}.", self.prefix), weights: self.weights }
    }

    /// The same place.
    pub fn here(&mut self) -> Scope<'_, W> {
        Scope { prefix: self.prefix.clone(), weights: self.weights }
    }

    /// Whether a tensor is there.
    pub fn has(&self, name: &str) -> bool {
        self.weights.shape(&format!("{}{name}", self.prefix)).is_some()
    }

    /// The first of several spellings whose `weight` is there; the first one when none is, so that
    /// the error names the modern spelling.
    pub fn spelled<'n>(&self, names: &[&'n str]) -> &'n str {
        let there = names.iter().find(|name| self.has(&format!("{name}.weight")));
        there.or(names.first()).copied().unwrap_or_default()
    }

    /// The values of a tensor.
    pub async fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        self.weights.values(&format!("{}{name}", self.prefix), shape).await
    }

    /// Some of a tensor's values.
    pub async fn part(&mut self, name: &str, shape: &[usize], part: Range<usize>) -> Result<Vec<f32>, LoadError> {
        self.weights.part(&format!("{}{name}", self.prefix), shape, part).await
    }

    /// A table of rows on the host.
    pub async fn table(&mut self, name: &str, [rows, width]: [usize; 2]) -> Result<Arc<Table>, LoadError> {
        let make = |raw, _: &mut W| Arc::new(Table::new(raw, width));
        self.laid(name, &[rows, width], Kept::tables, make).await
    }

    /// A vector on the device.
    pub async fn vector(&mut self, name: &str, length: usize) -> Result<Tensor<1>, LoadError> {
        let make = |raw: Raw, weights: &mut W| tensor(raw.decode(), [length], weights.device());
        self.laid(name, &[length], Kept::vectors, make).await
    }

    /// What is made of a tensor's values: what was kept, or what `make` makes of the published ones.
    async fn laid<T: Clone>(
        &mut self,
        name: &str,
        published: &[usize],
        shelf: fn(&mut Kept) -> &mut BTreeMap<String, T>,
        make: impl FnOnce(Raw, &mut W) -> T,
    ) -> Result<T, LoadError> {
        let full = format!("{}{name}", self.prefix);
        if let Some(found) = self.weights.kept().and_then(|kept| shelf(kept).get(&full).cloned()) {
            return Ok(found);
        }
        let raw = self.weights.raw(&full, published).await?;
        let laid = make(raw, &mut *self.weights);
        if let Some(kept) = self.weights.kept() {
            shelf(kept).insert(full, laid.clone());
        }
        Ok(laid)
    }

    /// A normalisation's scale and shift.
    pub async fn norm(&mut self, channels: usize, epsilon: f64) -> Result<Norm, LoadError> {
        let gamma = self.vector("weight", channels).await?;
        let beta = self.vector("bias", channels).await?;
        Ok(Norm { gamma, beta, epsilon })
    }

    /// A linear layer; a 1x1 convolution of the same shape is read as one.
    pub async fn linear(&mut self, from: usize, to: usize, bias: bool) -> Result<Linear, LoadError> {
        let pointwise = [to, from, 1, 1];
        let is_pointwise = self.weights.shape(&format!("{}weight", self.prefix)) == Some(&pointwise);
        let shape: &[usize] = if is_pointwise { &pointwise } else { &[to, from] };
        let make = |raw, weights: &mut W| pack::matrix(raw, [to, from], weights.precision(), weights.device());
        let weight = self.laid("weight", shape, Kept::matrices, make).await?;
        let bias = if bias { Some(self.vector("bias", to).await?) } else { None };
        Ok(Linear { weight, bias })
    }

    /// A convolution with bias and a square kernel, laid out for NHWC.
    pub async fn conv2d(
        &mut self,
        (from, to): (usize, usize),
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Result<Conv2d, LoadError> {
        let filters = self.filters((from, to), kernel, stride, padding).await?;
        Ok(Conv2d { bias: Some(self.vector("bias", to).await?), ..filters })
    }

    /// A convolution without bias.
    pub async fn filters(
        &mut self,
        (from, to): (usize, usize),
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Result<Conv2d, LoadError> {
        let shape = [to, kernel, kernel, from];
        let make = |raw, weights: &mut W| pack::filters(raw, shape, weights.precision(), weights.device());
        let weight = self.laid("weight", &[to, from, kernel, kernel], Kept::filters, make).await?;
        Ok(Conv2d { weight, bias: None, stride, padding })
    }
}

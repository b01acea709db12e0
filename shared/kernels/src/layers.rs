//! Weights of the hot operations, in the layout that the kernels read.

use crate::Weight;
use burn::tensor::Tensor;

/// Zeros around a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Above and left.
    pub begin: usize,
    /// Below and right.
    pub end: usize,
}

impl Padding {
    /// The same on every side.
    pub const fn same(pixels: usize) -> Self {
        Self { begin: pixels, end: pixels }
    }
}

/// A convolution's weights. Laid out once, when they are loaded.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// `[out, kernel rows, kernel columns, in]`: a row a filter, channels innermost as in NHWC.
    pub weight: Weight<4>,
    /// `[out]`.
    pub bias: Option<Tensor<1>>,
    /// Pixels between two windows.
    pub stride: usize,
    /// Zeros around the picture.
    pub padding: Padding,
}

/// A normalisation's weights.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Scale, `[c]`.
    pub gamma: Tensor<1>,
    /// Shift, `[c]`.
    pub beta: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

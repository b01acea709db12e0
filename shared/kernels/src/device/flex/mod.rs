//! CPU bodies: loops over contiguous memory and matrix products, a thread a piece where there are threads.

mod conv2d;
mod group_norm;
mod unpack;

use super::DeviceOps;
use burn::backend::{
    ops::{ActivationOps, ModuleOps},
    tensor::FloatTensor,
};
use burn_backend::{DType, TensorData};
use burn_flex::{Flex, FlexTensor};
use conv2d::Conv2d;
use group_norm::GroupNorm;

impl DeviceOps for Flex {
    fn conv2d_nhwc(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        let ([n, h, w, c], [out, rows, columns, _]) = (dims(&x), dims(&weight));
        let (weight, bias) = (Contiguous::new(weight), Contiguous::new(bias));
        let conv = Conv2d {
            weight: weight.values(),
            bias: bias.values(),
            input: [h, w, c],
            kernel: [rows, columns],
            stride,
            padding,
            output: [(h + 2 * padding - rows) / stride + 1, (w + 2 * padding - columns) / stride + 1, out],
        };
        let [height, width, _] = conv.output;
        let x = Contiguous::new(x);
        let mut y = vec![0.0; n * height * width * out];
        let pictures = y.chunks_mut((height * width * out).max(1)).zip(x.values().chunks((h * w * c).max(1)));
        pictures.for_each(|(y, x)| conv.apply(x, y));
        FlexTensor::from_data(TensorData::new(y, [n, height, width, out]))
    }

    fn upsample_conv2d_nhwc(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        size: [usize; 2],
        padding: usize,
    ) -> FloatTensor<Self> {
        Self::conv2d_nhwc(super::repeat_pixels::<Self>(x, size), weight, bias, 1, padding)
    }

    fn group_norm_silu(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> FloatTensor<Self> {
        let [n, h, w, c] = dims(&x);
        let (gamma, beta) = (Contiguous::new(gamma), Contiguous::new(beta));
        let norm = GroupNorm { gamma: gamma.values(), beta: beta.values(), groups, epsilon, silu };
        debug_assert_eq!(x.dtype(), DType::F32, "the CPU computes in f32");
        // Takes the memory over when nobody else holds it.
        let mut values: Vec<f32> = x.into_data().try_into_vec().unwrap_or_default();
        values.chunks_mut((h * w * c).max(1)).for_each(|pixels| norm.apply(pixels, c));
        FlexTensor::from_data(TensorData::new(values, [n, h, w, c]))
    }

    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        biased: bool,
    ) -> FloatTensor<Self> {
        super::matmul_and_bias::<Self>(x, weight, bias, biased)
    }

    fn layer_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        <Self as ModuleOps<Self>>::layer_norm(x, gamma, Some(beta), f64::from(epsilon))
    }

    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        <Self as ActivationOps<Self>>::softmax(x, 3)
    }
}

fn dims(tensor: &FlexTensor) -> [usize; 4] {
    tensor.layout().shape().dims()
}

/// A tensor whose values lie in order.
struct Contiguous(FlexTensor);

impl Contiguous {
    fn new(tensor: FlexTensor) -> Self {
        debug_assert_eq!(tensor.dtype(), DType::F32, "the CPU computes in f32");
        Self(tensor.to_contiguous())
    }

    fn values(&self) -> &[f32] {
        self.0.as_slice().unwrap_or_default()
    }
}

/// Runs `f` on pieces of `size` values with their number, in threads where there are threads.
#[cfg(not(target_arch = "wasm32"))]
fn each_piece(values: &mut [f32], size: usize, f: impl Fn(usize, &mut [f32]) + Send + Sync) {
    use rayon::prelude::*;
    values.par_chunks_mut(size.max(1)).enumerate().for_each(|(i, piece)| f(i, piece));
}

#[cfg(target_arch = "wasm32")]
fn each_piece(values: &mut [f32], size: usize, f: impl Fn(usize, &mut [f32])) {
    values.chunks_mut(size.max(1)).enumerate().for_each(|(i, piece)| f(i, piece));
}

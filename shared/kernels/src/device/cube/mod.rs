//! GPU bodies: CubeCL kernels, compiled for WGSL, SPIR-V, MSL and PTX from one source each.

mod block;
mod conv2d;
mod group_norm;
mod linear;
mod reduce;
mod registry;
mod softmax;
mod unpack;

use super::DeviceOps;
use burn::backend::{
    ops::{FloatTensorOps, ModuleOps},
    tensor::FloatTensor,
};
use burn_backend::{TensorMetadata, ops::ConvOptions};
use burn_cubecl::CubeBackend;
pub use registry::fill as fill_registries;

impl DeviceOps for CubeBackend {
    fn conv2d_nhwc(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        padding: usize,
    ) -> FloatTensor<Self> {
        if conv2d::suits(x.shape().dims(), weight.shape().dims(), stride) {
            return conv2d::conv2d(x, weight, bias, (stride, padding), None);
        }
        let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
        // Burn's own kernel; views, since it works in NHWC inside.
        let x = Self::float_permute(x, &[0, 3, 1, 2]);
        let weight = Self::float_permute(weight, &[0, 3, 1, 2]);
        let y = <Self as ModuleOps<Self>>::conv2d(x, weight, Some(bias), options);
        Self::float_permute(y, &[0, 2, 3, 1])
    }

    fn upsample_conv2d_nhwc(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        size: [usize; 2],
        padding: usize,
    ) -> FloatTensor<Self> {
        let [n, _, _, c] = x.shape().dims();
        if conv2d::suits([n, size[0], size[1], c], weight.shape().dims(), 1) {
            return conv2d::conv2d(x, weight, bias, (1, padding), Some(size));
        }
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
        group_norm::group_norm_silu(x, gamma, beta, groups, epsilon, silu)
    }

    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        biased: bool,
    ) -> FloatTensor<Self> {
        let ([rows, from], [to, _]) = (x.shape().dims(), weight.shape().dims());
        if linear::suits(rows, from, to) {
            return linear::linear(x, weight, bias, biased);
        }
        super::matmul_and_bias::<Self>(x, weight, bias, biased)
    }

    fn layer_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let [n, s, c] = x.shape().dims();
        let rows = Self::float_reshape(x, [n * s, 1, 1, c].into());
        let y = group_norm::group_norm_silu(rows, gamma, beta, 1, epsilon, false);
        Self::float_reshape(y, [n, s, c].into())
    }

    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        softmax::softmax(x)
    }
}

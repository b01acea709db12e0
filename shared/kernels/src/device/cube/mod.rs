//! GPU bodies: CubeCL kernels, compiled for WGSL, SPIR-V, MSL and PTX from one source each.

mod group_norm;
mod registry;

use super::DeviceOps;
use burn::backend::{
    ops::{FloatTensorOps, ModuleOps},
    tensor::FloatTensor,
};
use burn_backend::ops::ConvOptions;
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
        let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
        // Burn's own kernel for now; views, since it works in NHWC inside.
        let x = Self::float_permute(x, &[0, 3, 1, 2]);
        let weight = Self::float_permute(weight, &[0, 3, 1, 2]);
        let y = <Self as ModuleOps<Self>>::conv2d(x, weight, Some(bias), options);
        Self::float_permute(y, &[0, 2, 3, 1])
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
}

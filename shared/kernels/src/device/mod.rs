//! Operations with a body of our own for a kind of device, chosen at run time by Burn's dispatch.

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "cube")]
pub use cube::fill_registries;

#[cfg(any(feature = "flex", feature = "cube"))]
mod dispatch {
    use crate::{Conv2d, Norm, plain};
    use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;

    /// What a backend has to offer to run our kernels.
    #[backend_extension(Cube: cfg(feature = "cube"), Flex: cfg(feature = "flex"))]
    pub trait DeviceOps: Backend {
        /// Convolution of `x` `[n, h, w, c]` by `weight` `[out, rows, columns, c]` plus `bias` `[out]`,
        /// with `padding` zeros on every side.
        fn conv2d_nhwc(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            stride: usize,
            padding: usize,
        ) -> FloatTensor<Self>;

        /// Group normalisation and optional SiLU of `x` `[n, h, w, c]` in f32, statistics in f32.
        fn group_norm_silu(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            groups: usize,
            epsilon: f32,
            silu: bool,
        ) -> FloatTensor<Self>;
    }

    /// [`crate::Kernels::conv2d`] by the kernel of the tensor's device.
    pub fn conv2d(x: Tensor<4>, layer: &Conv2d) -> Tensor<4> {
        let out = layer.weight.dims()[0];
        let bias = layer.bias.clone().unwrap_or_else(|| Tensor::zeros([out], &layer.weight.device()));
        let (x, padding) = plain::even_padding(x, layer.padding);
        let y = <Dispatch as DeviceOps>::conv2d_nhwc(
            x.into_dispatch(),
            layer.weight.clone().into_dispatch(),
            bias.into_dispatch(),
            layer.stride,
            padding,
        );
        Tensor::from_dispatch(y)
    }

    /// [`crate::Kernels::group_norm`] by the kernel of the tensor's device.
    pub fn group_norm(x: Tensor<4>, layer: &Norm, groups: usize, silu: bool) -> Tensor<4> {
        let (gamma, beta) = (layer.gamma.clone().into_dispatch(), layer.beta.clone().into_dispatch());
        let y = <Dispatch as DeviceOps>::group_norm_silu(
            x.into_dispatch(),
            gamma,
            beta,
            groups,
            layer.epsilon as f32,
            silu,
        );
        Tensor::from_dispatch(y)
    }
}

#[cfg(any(feature = "flex", feature = "cube"))]
pub use dispatch::{DeviceOps, conv2d, group_norm};

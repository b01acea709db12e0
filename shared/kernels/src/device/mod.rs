//! Operations with a body of our own for a kind of device, chosen at run time by Burn's dispatch.

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
#[cfg(any(feature = "flex", feature = "cube"))]
mod packed;
#[cfg(feature = "cube")]
pub use cube::fill_registries;

#[cfg(any(feature = "flex", feature = "cube"))]
mod dispatch {
    use crate::{Conv2d, Norm, plain};
    use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_backend::TensorMetadata;

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

        /// The same convolution, stride 1, of `x` with every pixel twice in each direction, cut to `size` (rows,
        /// columns).
        fn upsample_conv2d_nhwc(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            size: [usize; 2],
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

        /// Layer normalisation over the last axis of `x` `[n, s, c]`, statistics in f32.
        fn layer_norm_rows(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            epsilon: f32,
        ) -> FloatTensor<Self>;

        /// Softmax over the last axis of `x` `[n, heads, s, t]`.
        fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self>;

        /// `x` `[rows, from]` times the transpose of `weight` `[to, from]`, plus `bias` `[to]` when `biased`;
        /// otherwise `bias` is any tensor.
        fn linear(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            biased: bool,
        ) -> FloatTensor<Self>;
    }

    /// [`plain::repeat_pixels`] by the backend's own operations.
    pub(super) fn repeat_pixels<B: Backend>(x: FloatTensor<B>, [rows, columns]: [usize; 2]) -> FloatTensor<B> {
        let [n, h, w, c] = x.shape().dims();
        let x = B::float_expand(B::float_reshape(x, [n, h, 1, w, 1, c].into()), [n, h, 2, w, 2, c].into());
        let x = B::float_reshape(x, [n, 2 * h, 2 * w, c].into());
        if (rows, columns) == (2 * h, 2 * w) {
            return x;
        }
        B::float_slice(x, &[(0..n).into(), (0..rows).into(), (0..columns).into(), (0..c).into()])
    }

    /// [`DeviceOps::linear`] by the backend's own operations.
    pub(super) fn matmul_and_bias<B: Backend>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        biased: bool,
    ) -> FloatTensor<B> {
        let [to, _] = weight.shape().dims();
        let y = B::float_matmul(x, B::float_swap_dims(weight, 0, 1));
        if biased { B::float_add(y, B::float_reshape(bias, [1, to].into())) } else { y }
    }

    /// [`crate::Kernels::conv2d`] by the kernel of the tensor's device.
    pub fn conv2d(x: Tensor<4>, layer: &Conv2d) -> Tensor<4> {
        let out = layer.weight.dims()[0];
        let bias = layer.bias.clone().unwrap_or_else(|| Tensor::zeros([out], &x.device()));
        let (x, padding) = plain::even_padding(x, layer.padding);
        let y = <Dispatch as DeviceOps>::conv2d_nhwc(
            x.into_dispatch(),
            layer.weight.tensor().into_dispatch(),
            bias.into_dispatch(),
            layer.stride,
            padding,
        );
        Tensor::from_dispatch(y)
    }

    /// [`crate::Kernels::upsample_conv2d`] by the kernel of the tensor's device.
    pub fn upsample_conv2d(x: Tensor<4>, size: [usize; 2], layer: &Conv2d) -> Tensor<4> {
        let even = layer.padding.begin == layer.padding.end;
        match &layer.bias {
            Some(bias) if even && layer.stride == 1 => {
                let (weight, bias) = (layer.weight.tensor().into_dispatch(), bias.clone().into_dispatch());
                let (x, padding) = (x.into_dispatch(), layer.padding.begin);
                Tensor::from_dispatch(<Dispatch as DeviceOps>::upsample_conv2d_nhwc(x, weight, bias, size, padding))
            }
            _ => conv2d(plain::repeat_pixels(x, size), layer),
        }
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

    /// [`crate::Kernels::layer_norm`] by the kernel of the tensor's device.
    pub fn layer_norm(x: Tensor<3>, layer: &Norm) -> Tensor<3> {
        let (gamma, beta) = (layer.gamma.clone().into_dispatch(), layer.beta.clone().into_dispatch());
        let y = <Dispatch as DeviceOps>::layer_norm_rows(x.into_dispatch(), gamma, beta, layer.epsilon as f32);
        Tensor::from_dispatch(y)
    }

    /// Softmax over the last axis by the kernel of the tensor's device.
    pub fn softmax(x: Tensor<4>) -> Tensor<4> {
        Tensor::from_dispatch(<Dispatch as DeviceOps>::softmax_rows(x.into_dispatch()))
    }

    /// [`crate::Kernels::linear`] by the kernel of the tensor's device.
    pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        let (x, weight, biased) = (x.into_dispatch(), weight.into_dispatch(), bias.is_some());
        let bias = bias.map_or_else(|| weight.clone(), Tensor::into_dispatch);
        Tensor::from_dispatch(<Dispatch as DeviceOps>::linear(x, weight, bias, biased))
    }
}

#[cfg(any(feature = "flex", feature = "cube"))]
pub use dispatch::{DeviceOps, conv2d, group_norm, layer_norm, linear, softmax, upsample_conv2d};
#[cfg(any(feature = "flex", feature = "cube"))]
use dispatch::{matmul_and_bias, repeat_pixels};
#[cfg(any(feature = "flex", feature = "cube"))]
pub use packed::{UnpackOps, unpack};

//! The hot tensor operations of diffusion models behind one trait, with a body for each kind of device.
//!
//! Activations are NHWC. [`Kernels`] gives every operation a body of plain tensor operations: the
//! reference in tests and the fallback. [`fast`] is the implementation that models use: where a
//! device has a kernel of ours it runs that one, elsewhere the plain body.
//!
//! An operation of ours that depends on the device goes through [`device::DeviceOps`], Burn's
//! run-time dispatch: `CubeCL` for every GPU (WGSL, SPIR-V, MSL, PTX from one source), a loop over
//! memory for the CPU.

pub mod device;
mod layers;
pub mod plain;
pub mod weight;

use burn::tensor::Tensor;
pub use layers::{Conv2d, Norm, Padding};
pub use weight::{Form, Packed, Weight};

/// The operations that decide how long a picture takes.
///
/// Shapes: `n` batch, `h`/`w` rows and columns, `c` channels, `s` sequence, `d` size of a head.
pub trait Kernels: Send + Sync {
    /// Convolution with bias, of `x` `[n, h, w, c]`.
    fn conv2d(&self, x: Tensor<4>, layer: &Conv2d) -> Tensor<4> {
        plain::conv2d(x, layer)
    }

    /// Twice the resolution by repeating pixels, cut to `size` (rows, columns), then a convolution.
    ///
    /// One operation, so that a kernel may read each pixel four times instead of holding it four times.
    fn upsample_conv2d(&self, x: Tensor<4>, size: [usize; 2], layer: &Conv2d) -> Tensor<4> {
        self.conv2d(plain::repeat_pixels(x, size), layer)
    }

    /// Group normalisation (Wu & He 2018) of `x` `[n, h, w, c]`, followed by SiLU when `silu`.
    fn group_norm(&self, x: Tensor<4>, layer: &Norm, groups: usize, silu: bool) -> Tensor<4> {
        plain::group_norm(x, layer, groups, silu)
    }

    /// Scaled dot-product attention: `q` `[n, heads, s, d]`, `k` and `v` `[n, heads, t, d]`, scale `1/sqrt(d)`.
    ///
    /// `causal` lets position `i` see positions up to `i` only. Never holds more than 64 MiB of scores.
    fn attention(&self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, causal: bool) -> Tensor<4> {
        plain::attention(q, k, v, causal)
    }

    /// Linear layer: `x` `[rows, from]` times the transpose of `weight` `[to, from]`, plus `bias` `[to]`.
    fn linear(&self, x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        plain::linear(x, weight, bias)
    }

    /// Layer normalisation over the last axis of `x` `[n, s, c]`.
    fn layer_norm(&self, x: Tensor<3>, layer: &Norm) -> Tensor<3> {
        plain::layer_norm(x, layer)
    }
}

/// Only the plain bodies: the reference that the others are tested against.
pub struct Plain;

impl Kernels for Plain {}

/// The kernels of the device that a tensor lives on, plain bodies where there is none.
pub struct Fast;

impl Kernels for Fast {
    #[cfg(any(feature = "flex", feature = "cube"))]
    fn conv2d(&self, x: Tensor<4>, layer: &Conv2d) -> Tensor<4> {
        device::conv2d(x, layer)
    }

    #[cfg(any(feature = "flex", feature = "cube"))]
    fn upsample_conv2d(&self, x: Tensor<4>, size: [usize; 2], layer: &Conv2d) -> Tensor<4> {
        device::upsample_conv2d(x, size, layer)
    }

    #[cfg(any(feature = "flex", feature = "cube"))]
    fn group_norm(&self, x: Tensor<4>, layer: &Norm, groups: usize, silu: bool) -> Tensor<4> {
        device::group_norm(x, layer, groups, silu)
    }

    #[cfg(any(feature = "flex", feature = "cube"))]
    fn linear(&self, x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        device::linear(x, weight, bias)
    }

    #[cfg(any(feature = "flex", feature = "cube"))]
    fn attention(&self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, causal: bool) -> Tensor<4> {
        let [n, heads, s, _] = q.dims();
        let rows = plain::rows_at_once(n, heads, s, k.dims()[2]);
        plain::attention_by(rows, q, k, v, causal, device::softmax)
    }

    #[cfg(any(feature = "flex", feature = "cube"))]
    fn layer_norm(&self, x: Tensor<3>, layer: &Norm) -> Tensor<3> {
        device::layer_norm(x, layer)
    }
}

/// What models run on.
pub fn fast() -> &'static dyn Kernels {
    &Fast
}

//! Packed weights to f32, by a body of our own for each kind of device.

use crate::Form;
use burn::backend::{
    Backend, Dispatch, backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Int, Tensor};

/// What a backend has to offer to unpack weights.
#[backend_extension(Cube: cfg(feature = "cube"), Flex: cfg(feature = "flex"))]
pub trait UnpackOps: Backend {
    /// The values `[values]` of halves, two in each of `words`: IEEE's, or with `brain` the upper halves of IEEE
    /// singles.
    fn unpack_halves(words: IntTensor<Self>, values: usize, brain: bool) -> FloatTensor<Self>;

    /// The values `[values]` of numbers of `bits` bits around a middle, in `words`, times the scale of each
    /// [`crate::weight::BLOCK`] of them.
    fn unpack_blocks(words: IntTensor<Self>, scales: FloatTensor<Self>, values: usize, bits: u32) -> FloatTensor<Self>;
}

/// The values of a packed weight, by the kernel of its device.
pub fn unpack(words: Tensor<1, Int>, scales: Option<Tensor<1>>, values: usize, form: Form) -> Tensor<1> {
    let words = words.into_dispatch();
    Tensor::from_dispatch(match scales {
        None => <Dispatch as UnpackOps>::unpack_halves(words, values, form == Form::Bf16),
        Some(scales) => <Dispatch as UnpackOps>::unpack_blocks(words, scales.into_dispatch(), values, form.bits()),
    })
}

//! Packed weights to f32 on a GPU, by operations on 32-bit words alone: no GPU needs to know smaller numbers.

use super::{super::UnpackOps, reduce};
use crate::weight::BLOCK;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn_backend::{DType, TensorMetadata};
use burn_cubecl::{CubeBackend, kernel::into_contiguous, ops::numeric::empty_device_dtype, tensor::CubeTensor};
use cubecl::prelude::*;

/// The value of an IEEE half's 16 bits.
///
/// From whole numbers all the way: a GPU may take subnormal numbers for zero.
#[cube]
fn half(bits: u32) -> f32 {
    let exponent = (bits >> 10u32) & 31u32;
    let mantissa = bits & 1023u32;
    // So many times 2^-24.
    let tiny = f32::cast_from(mantissa) * 5.960_464_5e-8f32;
    let shifted = mantissa << 13u32;
    let number = ((exponent + 112u32) << 23u32) | shifted;
    let beyond = 0x7F80_0000u32 | shifted;
    let size = f32::reinterpret(select(exponent == 31u32, beyond, number));
    let size = select(exponent == 0u32, tiny, size);
    select((bits & 0x8000u32) == 0u32, size, -size)
}

/// Two values a word, the lower half first. One invocation a word.
#[cube(launch_unchecked)]
fn halves_kernel(
    words: &[u32],
    out: &mut [f32],
    count: u32,
    values: u32,
    #[comptime] brain: bool,
    #[comptime] lanes: u32,
) {
    let workgroup = CUBE_POS as u32;
    let at = workgroup * lanes + UNIT_POS;
    if at >= count {
        terminate!();
    }
    let word = words[at as usize];
    let first = 2u32 * at;
    if comptime!(brain) {
        out[first as usize] = f32::reinterpret(word << 16u32);
        if first + 1u32 < values {
            out[(first + 1u32) as usize] = f32::reinterpret(word & 0xFFFF_0000u32);
        }
    } else {
        out[first as usize] = half(word & 0xFFFFu32);
        if first + 1u32 < values {
            out[(first + 1u32) as usize] = half(word >> 16u32);
        }
    }
}

/// Values of `bits` bits, the lowest first, around a middle and times their block's scale. One invocation a word.
#[cube(launch_unchecked)]
fn blocks_kernel(
    words: &[u32],
    scales: &[f32],
    out: &mut [f32],
    count: u32,
    values: u32,
    #[comptime] bits: u32,
    #[comptime] block: u32,
    #[comptime] lanes: u32,
) {
    let workgroup = CUBE_POS as u32;
    let at = workgroup * lanes + UNIT_POS;
    if at >= count {
        terminate!();
    }
    let word = words[at as usize];
    let each = comptime!(32 / bits);
    let first = at * each;
    // A block is a whole number of words.
    let scale = scales[(first / block) as usize];
    let mask = comptime!((1u32 << bits) - 1);
    let middle = comptime!((1u32 << (bits - 1)) as f32);
    #[unroll]
    for i in 0..each {
        let place = first + i;
        if place < values {
            let number = (word >> comptime!(i * bits)) & mask;
            out[place as usize] = (f32::cast_from(number) - middle) * scale;
        }
    }
}

/// Workgroups for so many words, and their lanes.
fn launch(words: &CubeTensor, count: usize) -> (CubeCount, u32) {
    let lanes = reduce::lanes(&words.client, usize::MAX);
    (reduce::workgroups((count as u32).div_ceil(lanes)), lanes)
}

/// Halves to f32 `[values]`.
fn halves(words: CubeTensor, values: usize, brain: bool) -> CubeTensor {
    let words = into_contiguous(words);
    let [count] = words.shape().dims();
    let client = words.client.clone();
    let out = empty_device_dtype(client.clone(), words.device.clone(), [values].into(), DType::F32);
    let (workgroups, lanes) = launch(&words, count);
    // SAFETY: an invocation reads its word, which is below `count`, and writes its first value, which is below `values`
    // since words are as many as the values need, and its second where that is below `values` too.
    unsafe {
        halves_kernel::launch_unchecked(
            &client,
            workgroups,
            CubeDim::new_1d(lanes),
            words.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            count as u32,
            values as u32,
            brain,
            lanes,
        );
    }
    out
}

/// Blocks of values of `bits` bits to f32 `[values]`.
fn blocks(words: CubeTensor, scales: CubeTensor, values: usize, bits: u32) -> CubeTensor {
    let (words, scales) = (into_contiguous(words), into_contiguous(scales));
    let [count] = words.shape().dims();
    let client = words.client.clone();
    let out = empty_device_dtype(client.clone(), words.device.clone(), [values].into(), DType::F32);
    let (workgroups, lanes) = launch(&words, count);
    // SAFETY: an invocation reads its word, which is below `count`, and the scale of that word's block, of which there
    // is one for each block of words; it writes only below `values`.
    unsafe {
        blocks_kernel::launch_unchecked(
            &client,
            workgroups,
            CubeDim::new_1d(lanes),
            words.into_buffer_arg(),
            scales.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            count as u32,
            values as u32,
            bits,
            BLOCK as u32,
            lanes,
        );
    }
    out
}

impl UnpackOps for CubeBackend {
    fn unpack_halves(words: IntTensor<Self>, values: usize, brain: bool) -> FloatTensor<Self> {
        halves(words, values, brain)
    }

    fn unpack_blocks(words: IntTensor<Self>, scales: FloatTensor<Self>, values: usize, bits: u32) -> FloatTensor<Self> {
        blocks(words, scales, values, bits)
    }
}

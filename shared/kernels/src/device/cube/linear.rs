//! A linear layer on a GPU for few rows or narrow layers: products and bias in one launch, without shared memory.
//!
//! A tiled product keeps a big GPU busy only when there are many tiles, and an emulated one pays for every barrier.
//! Here each invocation owns a small block of the result and reads both factors along their common axis, where both
//! lie in order; caches do the sharing.

use super::block::{self, BLOCK, VECTOR};
use burn_backend::{TensorMetadata, cubecl::dtype_to_storage_type};
use burn_cubecl::{kernel::into_contiguous, ops::numeric::empty_device_dtype, tensor::CubeTensor};
use cubecl::prelude::*;

/// `out[row][column] = bias[column] + sum over k of x[row][k] weight[column][k]`, for `depth` vectors of `k`.
#[cube(launch_unchecked)]
fn linear_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    weight: &[Vector<F, N>],
    bias: &[F],
    out: &mut [F],
    rows: u32,
    columns: u32,
    depth: u32,
    #[comptime] biased: bool,
    #[comptime] block: usize,
    #[define(F)] _dtype: ElemType,
) {
    let first_column = ABSOLUTE_POS_X * comptime!(block as u32);
    let first_row = ABSOLUTE_POS_Y * comptime!(block as u32);
    if first_row >= rows || first_column >= columns {
        terminate!();
    }
    let mut sums = block::zeros::<N>(block);
    let mut x_at = Array::<u32>::new(block);
    let mut weight_at = Array::<u32>::new(block);
    let mut factor = Array::<f32>::new(block);
    #[unroll]
    for i in 0..block {
        // Blocks at the edge compute their last row or column several times and keep it once.
        x_at[i] = u32::min(first_row + comptime!(i as u32), rows - 1) * depth;
        weight_at[i] = u32::min(first_column + comptime!(i as u32), columns - 1) * depth;
        factor[i] = 1.0f32;
    }
    block::add_products::<F, N>(&mut sums, x, weight, &x_at, &weight_at, &factor, depth, block);
    block::write::<F, N>(out, &sums, bias, (first_row, first_column), rows, columns, biased, block);
}

/// Whether this kernel is the better one for `x` `[rows, from]` and `weight` `[to, from]`.
pub fn suits(rows: usize, from: usize, to: usize) -> bool {
    /// Multiplications below which a tiled product leaves most of a GPU idle.
    const SMALL: usize = 1 << 26;
    from.is_multiple_of(VECTOR) && rows * from * to <= SMALL && block::fits(rows, to)
}

/// `x` `[rows, from]` times the transpose of `weight` `[to, from]`, plus `bias` `[to]` when `biased`.
pub fn linear(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, biased: bool) -> CubeTensor {
    let (x, weight, bias) = (into_contiguous(x), into_contiguous(weight), into_contiguous(bias));
    let ([rows, from], [to, _]) = (x.shape().dims(), weight.shape().dims());
    let out = empty_device_dtype(x.client.clone(), x.device.clone(), [rows, to].into(), x.dtype);
    let (client, dtype) = (x.client.clone(), dtype_to_storage_type(x.dtype));
    let (workgroups, lanes) = block::launch(rows, to);
    // SAFETY: rows and columns are clamped to the tensors' sizes before they are used as places, and `k` is below the
    // number of vectors in a row.
    unsafe {
        linear_kernel::launch_unchecked(
            &client,
            workgroups,
            lanes,
            VECTOR,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            rows as u32,
            to as u32,
            (from / VECTOR) as u32,
            biased,
            BLOCK,
            dtype,
        );
    }
    out
}

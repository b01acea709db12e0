//! Softmax on a GPU: one workgroup a row.

use super::reduce::{self, Fold};
use burn_backend::{TensorMetadata, cubecl::dtype_to_storage_type};
use burn_cubecl::{kernel::into_contiguous, ops::numeric::empty_device_dtype, tensor::CubeTensor};
use cubecl::prelude::*;

/// Softmax over rows of `length` values, `rows` of them; the largest is taken off first.
#[cube(launch_unchecked)]
fn softmax_kernel<F: Float>(
    x: &[F],
    out: &mut [F],
    rows: u32,
    length: u32,
    #[comptime] lanes: u32,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS as u32;
    if row >= rows {
        terminate!();
    }
    let first = row * length;
    let mut partial = Shared::<[f32]>::new_slice(lanes as usize);

    let mut largest = f32::cast_from(x[first as usize]);
    let mut i = UNIT_POS;
    while i < length {
        largest = f32::max(largest, f32::cast_from(x[(first + i) as usize]));
        i += lanes;
    }
    let largest = reduce::all(&mut partial, largest, lanes, Fold::Max);

    let mut sum = 0.0f32;
    i = UNIT_POS;
    while i < length {
        sum += f32::exp(f32::cast_from(x[(first + i) as usize]) - largest);
        i += lanes;
    }
    let sum = reduce::all(&mut partial, sum, lanes, Fold::Sum);

    i = UNIT_POS;
    while i < length {
        let at = (first + i) as usize;
        out[at] = F::cast_from(f32::exp(f32::cast_from(x[at]) - largest) / sum);
        i += lanes;
    }
}

/// Softmax over the last axis of `x` `[n, heads, s, t]`.
pub fn softmax(x: CubeTensor) -> CubeTensor {
    let x = into_contiguous(x);
    let [n, heads, s, t] = x.shape().dims();
    let out = empty_device_dtype(x.client.clone(), x.device.clone(), x.shape(), x.dtype);
    let rows = (n * heads * s) as u32;
    let (client, dtype) = (x.client.clone(), dtype_to_storage_type(x.dtype));
    let lanes = reduce::lanes(&client, t);
    // SAFETY: `row` is below the number of rows and `i` below a row's length.
    unsafe {
        softmax_kernel::launch_unchecked(
            &client,
            reduce::workgroups(rows),
            CubeDim::new_1d(lanes),
            x.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            rows,
            t as u32,
            lanes,
            dtype,
        );
    }
    out
}

//! Group normalisation and SiLU on a GPU: one workgroup a group. A layer norm is one group a row.

use super::reduce::{self, Fold};
use burn_backend::{TensorMetadata, cubecl::dtype_to_storage_type};
use burn_cubecl::{kernel::into_contiguous, ops::numeric::empty_device_dtype, tensor::CubeTensor};
use cubecl::prelude::*;

/// One workgroup normalises one group of one picture: sum, sum of squared deviations, then the
/// values. `x` is `[n, pixels, channels]`; workgroup `i` has picture `i / groups`, group `i % groups`.
#[cube(launch_unchecked)]
fn group_norm_kernel<F: Float>(
    x: &[F],
    gamma: &[F],
    beta: &[F],
    out: &mut [F],
    pixels: u32,
    channels: u32,
    groups: u32,
    workgroups: u32,
    epsilon: f32,
    #[comptime] silu: bool,
    #[comptime] lanes: u32,
    #[define(F)] _dtype: ElemType,
) {
    let workgroup = CUBE_POS as u32;
    if workgroup >= workgroups {
        terminate!();
    }
    let size = channels / groups;
    let first = (workgroup / groups) * pixels * channels + (workgroup % groups) * size;
    let count = pixels * size;
    let mut partial = Shared::<[f32]>::new_slice(lanes as usize);

    // Lanes walk over pixels and channels together, without a division a value.
    let (pixels_on, channels_on) = (lanes / size, lanes % size);

    let mut sum = 0.0f32;
    let (mut pixel, mut channel) = (UNIT_POS / size, UNIT_POS % size);
    while pixel < pixels {
        sum += f32::cast_from(x[(first + pixel * channels + channel) as usize]);
        channel += channels_on;
        let carry = u32::cast_from(channel >= size);
        channel -= carry * size;
        pixel += pixels_on + carry;
    }
    let mean = reduce::all(&mut partial, sum, lanes, Fold::Sum) / f32::cast_from(count);

    let mut squares = 0.0f32;
    pixel = UNIT_POS / size;
    channel = UNIT_POS % size;
    while pixel < pixels {
        let centred = f32::cast_from(x[(first + pixel * channels + channel) as usize]) - mean;
        squares += centred * centred;
        channel += channels_on;
        let carry = u32::cast_from(channel >= size);
        channel -= carry * size;
        pixel += pixels_on + carry;
    }
    let variance = reduce::all(&mut partial, squares, lanes, Fold::Sum) / f32::cast_from(count);
    let inverse = 1.0f32 / f32::sqrt(variance + epsilon);

    pixel = UNIT_POS / size;
    channel = UNIT_POS % size;
    while pixel < pixels {
        let at = (first + pixel * channels + channel) as usize;
        let of_layer = ((workgroup % groups) * size + channel) as usize;
        let centred = (f32::cast_from(x[at]) - mean) * inverse;
        let y = centred * f32::cast_from(gamma[of_layer]) + f32::cast_from(beta[of_layer]);
        if comptime!(silu) {
            out[at] = F::cast_from(y / (1.0f32 + f32::exp(-y)));
        } else {
            out[at] = F::cast_from(y);
        }
        channel += channels_on;
        let carry = u32::cast_from(channel >= size);
        channel -= carry * size;
        pixel += pixels_on + carry;
    }
}

/// Normalises `x` `[n, h, w, c]` by groups of channels.
pub fn group_norm_silu(
    x: CubeTensor,
    gamma: CubeTensor,
    beta: CubeTensor,
    groups: usize,
    epsilon: f32,
    silu: bool,
) -> CubeTensor {
    let (x, gamma, beta) = (into_contiguous(x), into_contiguous(gamma), into_contiguous(beta));
    let [n, h, w, c] = x.shape().dims();
    let out = empty_device_dtype(x.client.clone(), x.device.clone(), x.shape(), x.dtype);
    let workgroups = (n * groups) as u32;
    let client = x.client.clone();
    let dtype = dtype_to_storage_type(x.dtype);
    let lanes = reduce::lanes(&client, h * w * c / groups.max(1));
    // SAFETY: every index is below the tensors' sizes: `workgroup` is below n * groups and `i`
    // below pixels * size, so `at` is below n * h * w * c and `channel` below c.
    unsafe {
        group_norm_kernel::launch_unchecked(
            &client,
            reduce::workgroups(workgroups),
            CubeDim::new_1d(lanes),
            x.into_buffer_arg(),
            gamma.into_buffer_arg(),
            beta.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            (h * w) as u32,
            c as u32,
            groups as u32,
            workgroups,
            epsilon,
            silu,
            lanes,
            dtype,
        );
    }
    out
}

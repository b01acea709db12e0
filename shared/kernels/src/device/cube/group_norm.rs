//! Group normalisation and SiLU on a GPU: one workgroup a group.

use burn_backend::{TensorMetadata, cubecl::dtype_to_storage_type};
use burn_cubecl::{kernel::into_contiguous, ops::numeric::empty_device_dtype, tensor::CubeTensor};
use cubecl::prelude::*;

/// Lanes of a workgroup; WebGPU guarantees 256.
const LANES: u32 = 256;

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

    let mut sum = 0.0f32;
    let mut i = UNIT_POS;
    while i < count {
        sum += f32::cast_from(x[(first + (i / size) * channels + i % size) as usize]);
        i += lanes;
    }
    let mean = reduce(&mut partial, sum, lanes) / f32::cast_from(count);

    let mut squares = 0.0f32;
    i = UNIT_POS;
    while i < count {
        let centred = f32::cast_from(x[(first + (i / size) * channels + i % size) as usize]) - mean;
        squares += centred * centred;
        i += lanes;
    }
    let variance = reduce(&mut partial, squares, lanes) / f32::cast_from(count);
    let inverse = 1.0f32 / f32::sqrt(variance + epsilon);

    i = UNIT_POS;
    while i < count {
        let at = (first + (i / size) * channels + i % size) as usize;
        let channel = ((workgroup % groups) * size + i % size) as usize;
        let y =
            (f32::cast_from(x[at]) - mean) * inverse * f32::cast_from(gamma[channel]) + f32::cast_from(beta[channel]);
        if comptime!(silu) {
            out[at] = F::cast_from(y / (1.0f32 + f32::exp(-y)));
        } else {
            out[at] = F::cast_from(y);
        }
        i += lanes;
    }
}

/// The sum of every lane's value, in every lane. A tree over shared memory.
#[cube]
fn reduce(partial: &mut Shared<[f32]>, value: f32, #[comptime] lanes: u32) -> f32 {
    // The values of an earlier sum may still be read.
    sync_cube();
    partial[UNIT_POS as usize] = value;
    sync_cube();
    let mut half = comptime!(lanes / 2).runtime();
    while half > 0 {
        if UNIT_POS < half {
            let other = partial[(UNIT_POS + half) as usize];
            partial[UNIT_POS as usize] += other;
        }
        sync_cube();
        half /= 2;
    }
    partial[0]
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
    // The reduction halves: a power of two, whatever the device's limit.
    let most = x.client.properties().hardware.max_units_per_cube.max(1);
    let lanes = LANES.min(1 << most.ilog2());
    let client = x.client.clone();
    let dtype = dtype_to_storage_type(x.dtype);
    // A dispatch has at most 65,535 workgroups an axis.
    let (columns, rows) = (workgroups.min(32_768), workgroups.div_ceil(32_768));
    // SAFETY: every index is below the tensors' sizes: `workgroup` is below n * groups and `i`
    // below pixels * size, so `at` is below n * h * w * c and `channel` below c.
    unsafe {
        group_norm_kernel::launch_unchecked(
            &client,
            CubeCount::Static(columns, rows, 1),
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

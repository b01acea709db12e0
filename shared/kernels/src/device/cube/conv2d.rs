//! Convolution on a GPU without unfolding: each invocation owns a small block of pixels by channels and walks the
//! window, reading pixels and weights along the input channels, where both lie in order.

use super::block::{self, BLOCK, VECTOR};
use burn_backend::{TensorMetadata, cubecl::dtype_to_storage_type};
use burn_cubecl::{kernel::into_contiguous, ops::numeric::empty_device_dtype, tensor::CubeTensor};
use cubecl::prelude::*;

/// The sizes of a convolution, in pixels, channels and vectors of channels.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
struct Sizes {
    /// Rows and columns that the window walks over; twice the real ones when pixels are repeated.
    height: u32,
    width: u32,
    /// Columns that are really there, and pixels of a picture.
    row: u32,
    picture: u32,
    /// Vectors of input channels.
    depth: u32,
    out_height: u32,
    out_width: u32,
    /// Output pixels of all pictures, and output channels.
    pixels: u32,
    channels: u32,
    stride: u32,
    padding: u32,
}

/// `out[pixel][channel] = bias[channel] + sum over window and input channels of x weight`.
#[cube(launch_unchecked)]
fn conv2d_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    weight: &[Vector<F, N>],
    bias: &[F],
    out: &mut [F],
    sizes: Sizes,
    #[comptime] window: (u32, u32),
    #[comptime] doubled: bool,
    #[comptime] block: usize,
    #[define(F)] _dtype: ElemType,
) {
    let first_channel = ABSOLUTE_POS_X * comptime!(block as u32);
    let first_pixel = ABSOLUTE_POS_Y * comptime!(block as u32);
    if first_pixel >= sizes.pixels || first_channel >= sizes.channels {
        terminate!();
    }
    let (rows, columns) = comptime!(window);
    let taps = comptime!(rows * columns);
    let mut sums = block::zeros::<N>(block);
    let mut weight_at = Array::<u32>::new(block);
    let mut picture_at = Array::<u32>::new(block);
    let mut top = Array::<u32>::new(block);
    let mut left = Array::<u32>::new(block);
    #[unroll]
    for i in 0..block {
        // Blocks at the edge compute their last pixel or channel several times and keep it once.
        let pixel = u32::min(first_pixel + comptime!(i as u32), sizes.pixels - 1);
        let in_picture = pixel % (sizes.out_height * sizes.out_width);
        picture_at[i] = pixel / (sizes.out_height * sizes.out_width) * sizes.picture;
        top[i] = in_picture / sizes.out_width * sizes.stride;
        left[i] = in_picture % sizes.out_width * sizes.stride;
        weight_at[i] = u32::min(first_channel + comptime!(i as u32), sizes.channels - 1) * taps * sizes.depth;
    }
    for tap in 0..comptime!(taps).runtime() {
        let mut x_at = Array::<u32>::new(block);
        let mut inside = Array::<f32>::new(block);
        #[unroll]
        for i in 0..block {
            // Unsigned: what lies above or left of the picture wraps around and is as far outside as what lies below.
            let row = top[i] + tap / columns - sizes.padding;
            let column = left[i] + tap % columns - sizes.padding;
            let is_inside = row < sizes.height && column < sizes.width;
            let mut at = row * sizes.row + column;
            if comptime!(doubled) {
                at = row / 2 * sizes.row + column / 2;
            }
            x_at[i] = select(is_inside, (picture_at[i] + at) * sizes.depth, 0u32);
            inside[i] = select(is_inside, 1.0f32, 0.0f32);
        }
        let mut from = Array::<u32>::new(block);
        #[unroll]
        for j in 0..block {
            from[j] = weight_at[j] + tap * sizes.depth;
        }
        block::add_products::<F, N>(&mut sums, x, weight, &x_at, &from, &inside, sizes.depth, block);
    }
    let first = (first_pixel, first_channel);
    block::write::<F, N>(out, &sums, bias, first, sizes.pixels, sizes.channels, true, block);
}

/// Whether this kernel is the better one for `x` `[n, h, w, c]` and `weight` `[out, rows, columns, c]`.
pub fn suits(x: [usize; 4], weight: [usize; 4], stride: usize) -> bool {
    /// Multiplications below which a tiled product, chosen by measuring, leaves most of a GPU idle.
    const SMALL: usize = 1 << 26;
    let ([n, h, w, c], [out, rows, columns, _]) = (x, weight);
    let pixels = n * h.div_ceil(stride) * w.div_ceil(stride);
    let work = pixels * c * out * rows * columns;
    c.is_multiple_of(VECTOR) && block::fits(pixels, out) && (work <= SMALL || !cfg!(feature = "autotune"))
}

/// Convolution of `x` `[n, h, w, c]` by `weight` `[out, rows, columns, c]` plus `bias` `[out]`; over the picture with
/// every pixel repeated to `doubled` (rows, columns) when there is such a size.
pub fn conv2d(
    x: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    (stride, padding): (usize, usize),
    doubled: Option<[usize; 2]>,
) -> CubeTensor {
    let (x, weight, bias) = (into_contiguous(x), into_contiguous(weight), into_contiguous(bias));
    let ([n, h, w, c], [out, rows, columns, _]) = (x.shape().dims(), weight.shape().dims());
    let [height, width] = doubled.unwrap_or([h, w]);
    let out_height = (height + 2 * padding - rows) / stride + 1;
    let out_width = (width + 2 * padding - columns) / stride + 1;
    let y = empty_device_dtype(x.client.clone(), x.device.clone(), [n, out_height, out_width, out].into(), x.dtype);
    let (client, dtype) = (x.client.clone(), dtype_to_storage_type(x.dtype));
    let pixels = n * out_height * out_width;
    let (workgroups, lanes) = block::launch(pixels, out);
    let sizes = SizesLaunch::new(
        height as u32,
        width as u32,
        w as u32,
        (h * w) as u32,
        (c / VECTOR) as u32,
        out_height as u32,
        out_width as u32,
        pixels as u32,
        out as u32,
        stride as u32,
        padding as u32,
    );
    // SAFETY: places outside the picture are replaced by the first one, pixels and channels are clamped to what there
    // is, and `k` is below the number of vectors of a pixel.
    unsafe {
        conv2d_kernel::launch_unchecked(
            &client,
            workgroups,
            lanes,
            VECTOR,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            sizes,
            (rows as u32, columns as u32),
            doubled.is_some(),
            BLOCK,
            dtype,
        );
    }
    y
}

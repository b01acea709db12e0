//! A block of a product in one invocation's registers: rows times columns, along an axis where both lie in order.
//! Convolutions and linear layers are launched in such blocks.

use cubecl::prelude::*;

/// Values read at once along the common axis.
pub const VECTOR: usize = 4;
/// Rows, and columns, of the result that one invocation computes.
pub const BLOCK: usize = 4;
/// Invocations of a workgroup along columns and along rows.
const GROUP: (u32, u32) = (8, 8);
/// A dispatch has at most so many workgroups an axis.
const MOST_GROUPS: usize = 65_535;

/// Whether one launch has room for so many rows and columns of a result.
pub fn fits(rows: usize, columns: usize) -> bool {
    let most = |lanes: u32| MOST_GROUPS * BLOCK * lanes as usize;
    columns <= most(GROUP.0) && rows <= most(GROUP.1)
}

/// The workgroups for so many rows and columns of a result, and their size.
pub fn launch(rows: usize, columns: usize) -> (CubeCount, CubeDim) {
    let across = |count: usize, lanes: u32| (count.div_ceil(BLOCK) as u32).div_ceil(lanes);
    (CubeCount::Static(across(columns, GROUP.0), across(rows, GROUP.1), 1), CubeDim::new_2d(GROUP.0, GROUP.1))
}

/// Sums of zero.
#[cube]
pub fn zeros<N: Size>(#[comptime] block: usize) -> Array<Vector<f32, N>> {
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(block * block));
    #[unroll]
    for i in 0..comptime!(block * block) {
        sums[i] = Vector::new(0.0f32);
    }
    sums
}

/// Adds the products of `depth` vectors from `x_at[i]` and `weight_at[j]` on, those of row `i` times `factor[i]`.
#[cube]
pub fn add_products<F: Float, N: Size>(
    sums: &mut Array<Vector<f32, N>>,
    x: &[Vector<F, N>],
    weight: &[Vector<F, N>],
    x_at: &Array<u32>,
    weight_at: &Array<u32>,
    factor: &Array<f32>,
    depth: u32,
    #[comptime] block: usize,
) {
    for k in 0..depth {
        let mut across = Array::<Vector<f32, N>>::new(block);
        #[unroll]
        for j in 0..block {
            across[j] = Vector::cast_from(weight[(weight_at[j] + k) as usize]);
        }
        #[unroll]
        for i in 0..block {
            let down = Vector::<f32, N>::cast_from(x[(x_at[i] + k) as usize]) * Vector::new(factor[i]);
            #[unroll]
            for j in 0..block {
                sums[comptime!(i * block + j)] += down * across[j];
            }
        }
    }
}

/// Writes a block's sums, plus `bias` when `biased`, where they lie within `rows` and `columns`.
#[cube]
pub fn write<F: Float, N: Size>(
    out: &mut [F],
    sums: &Array<Vector<f32, N>>,
    bias: &[F],
    first: (u32, u32),
    rows: u32,
    columns: u32,
    #[comptime] biased: bool,
    #[comptime] block: usize,
) {
    #[unroll]
    for i in 0..block {
        #[unroll]
        for j in 0..block {
            let (row, column) = (first.0 + comptime!(i as u32), first.1 + comptime!(j as u32));
            if row < rows && column < columns {
                let partial = sums[comptime!(i * block + j)];
                let mut sum = 0.0f32;
                if comptime!(biased) {
                    sum = f32::cast_from(bias[column as usize]);
                }
                #[unroll]
                for lane in 0..partial.vector_size() {
                    sum += partial.extract(lane);
                }
                out[(row * columns + column) as usize] = F::cast_from(sum);
            }
        }
    }
}

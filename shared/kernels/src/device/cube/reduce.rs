//! One number from a workgroup's values, and how many workgroups and lanes there are.

use cubecl::{client::Client, prelude::*};

/// The most lanes of a workgroup; WebGPU guarantees 256.
const LANES: u32 = 256;
/// A dispatch has at most 65,535 workgroups an axis.
const COLUMNS: u32 = 32_768;

/// How two numbers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fold {
    /// Added.
    Sum,
    /// The larger one.
    Max,
}

/// Every lane's value folded into one, in every lane. A tree over shared memory.
#[cube]
pub fn all(partial: &mut Shared<[f32]>, value: f32, #[comptime] lanes: u32, #[comptime] fold: Fold) -> f32 {
    // The values of an earlier fold may still be read.
    sync_cube();
    partial[UNIT_POS as usize] = value;
    sync_cube();
    let mut half = comptime!(lanes / 2).runtime();
    while half > 0 {
        if UNIT_POS < half {
            let other = partial[(UNIT_POS + half) as usize];
            if comptime!(fold == Fold::Sum) {
                partial[UNIT_POS as usize] += other;
            } else {
                let own = partial[UNIT_POS as usize];
                partial[UNIT_POS as usize] = f32::max(own, other);
            }
        }
        sync_cube();
        half /= 2;
    }
    partial[0]
}

/// Lanes for `count` values: a power of two, since a fold halves, with several values a lane, since it has barriers.
pub fn lanes(client: &Client, count: usize) -> u32 {
    let most = client.properties().hardware.max_units_per_cube.clamp(1, LANES);
    let wanted = u32::try_from(count / 8).unwrap_or(LANES).clamp(32, LANES).next_power_of_two();
    wanted.min(1 << most.ilog2())
}

/// `count` workgroups over two axes, some too many.
pub fn workgroups(count: u32) -> CubeCount {
    CubeCount::Static(count.clamp(1, COLUMNS), count.div_ceil(COLUMNS), 1)
}

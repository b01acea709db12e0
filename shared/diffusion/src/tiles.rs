//! Large pictures through an autoencoder in tiles, with the result of the whole.
//!
//! Tiles as others make them differ from the whole for two reasons: a tile's border is not the picture's,
//! and each tile's group norms have statistics of their own, which shows as patches of other colours and
//! needs blending. Here neither happens. Each tile is read with as much around it as its pixels can see,
//! and a norm waits until all tiles were run up to it and their statistics are put together. What is left
//! is the rounding of sums in another order.
//!
//! The price is time: a stretch between two places where the whole picture is held is walked once for
//! each norm in it. What is held is bounded by the memory allowed, so less memory costs more time.
//! Attention sees everything and stays whole; it lies where the picture is smallest.

use crate::model::{
    program::{Op, State, Statistics},
    vae::{Decoder, Encoder},
};
use burn::tensor::Tensor;
use fresco_kernels::Kernels;

/// The memory that [`Tiling::Auto`] lets a decode or encode take, in bytes.
pub const BUDGET: u64 = 2 << 30;

/// The smallest side of a tile that is chosen by itself, in latent positions.
const LEAST: usize = 8;

/// Whether an autoencoder works in tiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tiling {
    /// Never: fastest, and most memory.
    Off,
    /// When the whole would take more than [`BUDGET`].
    #[default]
    Auto,
    /// When the whole would take more than so many bytes.
    Within(u64),
    /// Always, in squares of so many latent positions.
    Size(usize),
}

/// Latents `[n, h, w, c]`, scaling undone, to pictures `[n, h * factor, w * factor, 3]` around -1 to 1.
pub fn decode(k: &dyn Kernels, decoder: &Decoder, latents: Tensor<4>, tiling: Tiling) -> Tensor<4> {
    let [n, h, w, _] = latents.dims();
    let ops = decoder.local();
    match Plan::new(&ops, [n, h, w, decoder.entry_channels()], tiling) {
        None => decoder.forward(k, latents),
        Some(plan) => plan.run(k, &ops, decoder.enter(k, latents)),
    }
}

/// Pictures `[n, h, w, 3]` in -1 to 1 to moments `[n, h / factor, w / factor, 2 * c]`, as [`Encoder::forward`].
pub fn encode(k: &dyn Kernels, encoder: &Encoder, pictures: Tensor<4>, tiling: Tiling) -> Tensor<4> {
    let [n, h, w, c] = pictures.dims();
    let ops = encoder.local();
    let factor = 1 << shrinks(&ops);
    let plan = Plan::new(&ops, [n, h / factor, w / factor, c], tiling);
    // Tiles of whole positions need a picture of whole positions.
    match plan.filter(|_| h % factor == 0 && w % factor == 0) {
        None => encoder.forward(k, pictures),
        Some(plan) => encoder.leave(k, plan.run(k, &ops, pictures)),
    }
}

/// The most bytes of activations that are held at once when `ops` run on a whole picture.
///
/// `[n, h, w, c]` counts positions of the smallest resolution, and channels where the list begins.
pub fn peak_bytes(ops: &[Op<'_>], shape: [usize; 4]) -> u64 {
    sizes(ops, shape).iter().map(|size| size.live).max().unwrap_or(0)
}

/// How a list of operations is run on a picture.
struct Plan {
    /// Tiles' sides, in positions of the smallest resolution.
    side: usize,
    /// Places in the list before which the whole picture is held, the end included.
    stops: Vec<usize>,
}

impl Plan {
    /// `None` when the whole is run at once.
    fn new(ops: &[Op<'_>], shape: [usize; 4], tiling: Tiling) -> Option<Self> {
        let [n, h, w, c] = shape;
        let budget = match tiling {
            Tiling::Off => return None,
            Tiling::Auto => BUDGET,
            Tiling::Within(bytes) => bytes,
            Tiling::Size(_) => BUDGET,
        };
        if !matches!(tiling, Tiling::Size(_)) && peak_bytes(ops, shape) <= budget {
            return None;
        }
        let sizes = sizes(ops, shape);
        // Between two resting places the one before and the one after are held, and once more while the
        // tiles are put together.
        let rests = |i: &usize| {
            let behind_norm = matches!(ops[i - 1], Op::Norm(..));
            sizes[*i].rests && !behind_norm && sizes[*i].held <= budget / 4
        };
        let mut stops: Vec<usize> = (1..ops.len()).filter(rests).collect();
        stops.push(ops.len());
        let side = match tiling {
            Tiling::Size(side) => side.max(1),
            _ => {
                let around = 2 * margin(ops, &stops);
                let fits = |side: &usize| peak_bytes(ops, [n, side + around, side + around, c]) <= budget / 2;
                (LEAST..h.max(w)).rev().find(fits).unwrap_or(LEAST)
            }
        };
        Some(Self { side, stops })
    }

    fn run(&self, k: &dyn Kernels, ops: &[Op<'_>], x: Tensor<4>) -> Tensor<4> {
        let mut level = shrinks(ops);
        let mut begin = 0;
        self.stops.iter().fold(x, |x, end| {
            let stretch = Stretch { k, ops: &ops[begin..*end], level, side: self.side };
            level = levels(stretch.ops, level).last().copied().unwrap_or(level);
            begin = *end;
            stretch.run(x)
        })
    }
}

/// The operations between two places where the whole picture is held.
struct Stretch<'a> {
    k: &'a dyn Kernels,
    ops: &'a [Op<'a>],
    /// The resolution at the beginning: the smallest, doubled so often.
    level: u32,
    side: usize,
}

/// A part of an axis, in positions of the smallest resolution: what is wanted, and what is read for it.
#[derive(Clone, Copy, Debug)]
struct Part {
    wanted: [usize; 2],
    read: [usize; 2],
}

impl Stretch<'_> {
    fn run(&self, x: Tensor<4>) -> Tensor<4> {
        let levels = levels(self.ops, self.level);
        let mut known: Vec<Option<Statistics>> = vec![None; self.ops.len()];
        for (i, op) in self.ops.iter().enumerate() {
            if let Op::Norm(_, groups) = op {
                known[i] = self.statistics(&x, i, *groups, &known, levels[i]);
            }
        }
        let end = levels[self.ops.len()];
        let rows = self.parts(x.dims()[1]).into_iter().map(|row| {
            let columns = self.parts(x.dims()[2]).into_iter();
            let tiles = columns.map(|column| self.tile(&x, self.ops.len(), [row, column], &known, end));
            Tensor::cat(tiles.collect(), 2)
        });
        Tensor::cat(rows.collect(), 1)
    }

    /// The statistics of the whole picture before operation `i`, where the resolution is that of `level`.
    fn statistics(
        &self,
        x: &Tensor<4>,
        i: usize,
        groups: usize,
        known: &[Option<Statistics>],
        level: u32,
    ) -> Option<Statistics> {
        let [_, height, width, _] = x.dims();
        let area = (height >> self.level) * (width >> self.level);
        let mut parts = Vec::new();
        for row in self.parts(height) {
            for column in self.parts(width) {
                let tile = self.tile(x, i, [row, column], known, level);
                let share = row.count() * column.count();
                parts.push((share as f64 / area as f64, Statistics::of(tile, groups)));
            }
        }
        Statistics::together(&parts)
    }

    /// What is wanted of a tile before operation `end`, where the resolution is that of `level`.
    fn tile(&self, x: &Tensor<4>, end: usize, parts: [Part; 2], known: &[Option<Statistics>], level: u32) -> Tensor<4> {
        let [n, _, _, c] = x.dims();
        let [rows, columns] = parts.map(|part| part.read[0] << self.level..part.read[1] << self.level);
        let state = State::new(x.clone().slice([0..n, rows, columns, 0..c]));
        let run = |state: State, (op, known): (&Op<'_>, &Option<Statistics>)| state.then(self.k, *op, known.as_ref());
        let y = self.ops[..end].iter().zip(known).fold(state, run).x;
        let c = y.dims()[3];
        let [rows, columns] =
            parts.map(|Part { wanted, read }| (wanted[0] - read[0]) << level..(wanted[1] - read[0]) << level);
        y.slice([0..n, rows, columns, 0..c])
    }

    /// An axis of so many pixels of the first resolution in parts.
    fn parts(&self, pixels: usize) -> Vec<Part> {
        let (length, margin) = (pixels >> self.level, reach(self.ops, self.level));
        let part = |start: usize| {
            let end = (start + self.side).min(length);
            Part { wanted: [start, end], read: [start.saturating_sub(margin), (end + margin).min(length)] }
        };
        (0..length).step_by(self.side).map(part).collect()
    }
}

impl Part {
    fn count(&self) -> usize {
        self.wanted[1] - self.wanted[0]
    }
}

/// How often a list halves the resolution before it is at its smallest.
fn shrinks(ops: &[Op<'_>]) -> u32 {
    ops.iter().filter(|op| matches!(op, Op::Conv(conv) if conv.stride == 2)).count() as u32
}

/// The resolution before each operation and behind the last: the smallest, doubled so often.
fn levels(ops: &[Op<'_>], first: u32) -> Vec<u32> {
    let behind = ops.iter().scan(first, |level, op| {
        match op {
            Op::Up(_) => *level += 1,
            Op::Conv(conv) if conv.stride == 2 => *level = level.saturating_sub(1),
            _ => {}
        }
        Some(*level)
    });
    std::iter::once(first).chain(behind).collect()
}

/// How far a pixel sees within `ops`, in positions of the smallest resolution: so far from a tile's border
/// its values are wrong.
fn reach(ops: &[Op<'_>], first: u32) -> usize {
    let levels = levels(ops, first);
    let mut wrong = 0usize;
    let mut most = 0;
    for (op, level) in ops.iter().zip(&levels[1..]) {
        match op {
            Op::Conv(conv) if conv.stride == 2 => wrong = (wrong + 2).div_ceil(2),
            Op::Conv(conv) => wrong += conv.weight.dims()[1] / 2,
            Op::Up(_) => wrong = 2 * wrong + 1,
            Op::Keep | Op::Norm(..) | Op::Add(_) => {}
        }
        most = most.max(wrong.div_ceil(1 << level));
    }
    most
}

/// The longest reach of all stretches.
fn margin(ops: &[Op<'_>], stops: &[usize]) -> usize {
    let levels = levels(ops, shrinks(ops));
    let mut begin = 0;
    let reaches = stops.iter().map(|end| {
        let reach = reach(&ops[begin..*end], levels[begin]);
        begin = *end;
        reach
    });
    reaches.max().unwrap_or(0)
}

/// What is held around an operation.
struct Size {
    /// Bytes of the activation before it.
    held: u64,
    /// Bytes of everything that lives while it runs.
    live: u64,
    /// Whether nothing is remembered before it.
    rests: bool,
}

fn sizes(ops: &[Op<'_>], [n, h, w, c]: [usize; 4]) -> Vec<Size> {
    let levels = levels(ops, shrinks(ops));
    let positions = n as u64 * h as u64 * w as u64 * size_of::<f32>() as u64;
    let bytes = |channels: usize, level: u32| (positions * channels as u64) << (2 * level);
    let (mut channels, mut kept) = (c, 0);
    let size = |(i, op): (usize, &Op<'_>)| {
        let held = bytes(channels, levels[i]);
        let rests = kept == 0;
        let more = match op {
            Op::Keep => {
                kept = held;
                0
            }
            Op::Norm(..) => held,
            Op::Conv(conv) | Op::Up(conv) => {
                channels = conv.weight.dims()[0];
                bytes(channels, levels[i + 1])
            }
            Op::Add(shortcut) => shortcut.map_or(0, |_| held) + held,
        };
        let live = held + more + if matches!(op, Op::Keep) { 0 } else { kept };
        if matches!(op, Op::Add(_)) {
            kept = 0;
        }
        Size { held, live, rests }
    };
    ops.iter().enumerate().map(size).collect()
}

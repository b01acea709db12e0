//! A stretch of a network as a list of operations, for whoever runs it piece by piece.
//!
//! Convolutions see only a neighbourhood, so a picture can go through them in tiles. A group norm sees
//! everything: its statistics must be those of the whole picture. As a list, a network can be run up to
//! a norm, asked for the statistics there, and run on.

use burn::tensor::{Tensor, activation};
use fresco_kernels::{Conv2d, Kernels, Norm};

/// One operation on `x` `[n, h, w, c]`.
#[derive(Clone, Copy, Debug)]
pub enum Op<'a> {
    /// Remembers `x` for the next [`Op::Add`].
    Keep,
    /// Group norm, followed by `SiLU`.
    Norm(&'a Norm, usize),
    /// A convolution of stride 1 or 2.
    Conv(&'a Conv2d),
    /// Twice the resolution by repeating pixels, then a convolution of 3x3.
    Up(&'a Conv2d),
    /// Adds what was remembered, through a convolution of 1x1 if there is one.
    Add(Option<&'a Conv2d>),
}

/// Mean and variance of each group, `[n, 1, groups, 1]`.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Mean.
    pub mean: Tensor<4>,
    /// Variance around it.
    pub variance: Tensor<4>,
}

/// What flows between operations.
#[derive(Clone, Debug)]
pub struct State {
    /// The activation.
    pub x: Tensor<4>,
    kept: Option<Tensor<4>>,
}

impl State {
    /// The beginning of a list.
    pub fn new(x: Tensor<4>) -> Self {
        Self { x, kept: None }
    }

    /// The state behind one operation; `known` has the statistics of a norm.
    pub fn then(self, k: &dyn Kernels, op: Op<'_>, known: Option<&Statistics>) -> Self {
        let Self { x, kept } = self;
        match op {
            Op::Keep => Self { kept: Some(x.clone()), x },
            Op::Norm(norm, groups) => {
                let x = match known {
                    Some(known) => normalised(x, norm, known),
                    None => k.group_norm(x, norm, groups, true),
                };
                Self { x, kept }
            }
            Op::Conv(conv) => Self { x: k.conv2d(x, conv), kept },
            Op::Up(conv) => {
                let [_, h, w, _] = x.dims();
                Self { x: k.upsample_conv2d(x, [2 * h, 2 * w], conv), kept }
            }
            Op::Add(shortcut) => {
                let kept = kept.map(|kept| shortcut.map_or(kept.clone(), |conv| k.conv2d(kept, conv)));
                Self { x: kept.map_or(x.clone(), |kept| kept + x), kept: None }
            }
        }
    }
}

/// Group norm with given statistics, and `SiLU`.
fn normalised(x: Tensor<4>, norm: &Norm, known: &Statistics) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let groups = known.mean.dims()[2];
    let x = x.reshape([n, h * w, groups, c / groups]) - known.mean.clone();
    let x = x / (known.variance.clone() + norm.epsilon).sqrt();
    let x = x.reshape([n, h, w, c]) * norm.gamma.clone().reshape([1, 1, 1, c]);
    activation::silu(x + norm.beta.clone().reshape([1, 1, 1, c]))
}

impl Statistics {
    /// Those of `x` alone.
    pub fn of(x: Tensor<4>, groups: usize) -> Self {
        let [n, h, w, c] = x.dims();
        let count = (h * w * c / groups) as f64;
        let x = x.reshape([n, h * w, groups, c / groups]);
        let mean = x.clone().sum_dim(3).sum_dim(1) / count;
        let variance = (x - mean.clone()).square().sum_dim(3).sum_dim(1) / count;
        Self { mean, variance }
    }

    /// Those of parts together, each with its share of the whole (Chan, Golub & LeVeque 1979).
    pub fn together(parts: &[(f64, Self)]) -> Option<Self> {
        let sum = |value: &dyn Fn(&Self) -> Tensor<4>| {
            parts.iter().map(|(share, part)| value(part) * *share).reduce(|sum, part| sum + part)
        };
        let mean = sum(&|part| part.mean.clone())?;
        let spread = |part: &Self| part.variance.clone() + (part.mean.clone() - mean.clone()).square();
        Some(Self { variance: sum(&spread)?, mean })
    }
}

//! PyTorch's random numbers: the same seed gives the same noise everywhere.

mod cephes;
mod mt19937;
mod philox;

pub use mt19937::Mt19937;
pub use philox::{Philox, philox};

use fresco_api::Rng;

/// What a run draws its noise from, tensor after tensor in NCHW order.
pub enum Generator {
    /// `torch.Generator("cpu")`.
    Cpu(Box<Mt19937>),
    /// `torch.Generator("cuda")`.
    Gpu(Philox),
}

impl Generator {
    /// The CPU generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self::of(Rng::Cpu, seed)
    }

    /// The generator of a seed.
    pub fn of(rng: Rng, seed: u64) -> Self {
        match rng {
            Rng::Cpu => Self::Cpu(Box::new(Mt19937::new(seed))),
            Rng::Gpu => Self::Gpu(Philox::new(seed)),
        }
    }

    /// `torch.randn` of `n` values in f32.
    pub fn normal(&mut self, n: usize) -> Vec<f32> {
        match self {
            Self::Cpu(generator) => generator.normal(n),
            Self::Gpu(generator) => generator.normal(n),
        }
    }
}

//! Noise levels and the step from one to the next, on the host in f32.

mod ancestral;
mod beta;
mod betas;
mod build;
mod config;
mod ddim;
mod dpm_multistep;
mod dpm_sde;
mod euler;
mod flow;
mod heun;
mod lcm;
mod levels;
mod plms;
mod unipc;
mod within;

pub use build::{ScheduleError, Settings, build};
pub use config::{Prediction, ScheduleConfig, Spacing};
pub use euler::Euler;
pub use levels::Levels;

use crate::noise::Generator;

/// One run through a schedule: from noise to latents in the user's steps, each of one or more
/// evaluations of the denoiser.
///
/// Evaluations are counted from 0 as diffusers lists its timesteps, `evaluations()` is behind the last.
pub trait Schedule {
    /// What unit noise is multiplied by before the first evaluation.
    fn noise_scale(&self) -> f32;
    /// The user's steps.
    fn steps(&self) -> usize;
    /// Evaluations in all.
    fn evaluations(&self) -> usize {
        self.steps()
    }
    /// The evaluation that a step begins with: where a run that skips the steps before it starts.
    fn begins(&self, step: usize) -> usize {
        step
    }
    /// How many of the user's steps are done before an evaluation.
    fn done(&self, evaluation: usize) -> usize {
        evaluation
    }
    /// The timestep that the denoiser is told.
    fn timestep(&self, evaluation: usize) -> f32;
    /// What latents are multiplied by before the denoiser sees them.
    fn input_scale(&self, _evaluation: usize) -> f32 {
        1.0
    }
    /// A clean value with as much noise as diffusers puts on it for an evaluation; none behind the last.
    fn noised(&self, evaluation: usize, clean: f32, noise: f32) -> f32;
    /// Moves `latents` one evaluation on, by the denoiser's `prediction` of the same length. Evaluations
    /// come in order; what noise is needed is drawn from `generator`.
    fn advance(&mut self, evaluation: usize, prediction: &[f32], latents: &mut [f32], generator: &mut Generator);
}

impl Prediction {
    /// The clean value that a prediction means, where noise lies on top of the picture: `x = clean + sigma * noise`.
    fn clean_below(self, x: f32, predicted: f32, sigma: f32) -> f32 {
        match self {
            Prediction::Epsilon | Prediction::Flow => x - sigma * predicted,
            Prediction::Velocity => {
                let squared = sigma * sigma + 1.0;
                predicted * (-sigma / squared.sqrt()) + x / squared
            }
        }
    }

    /// The clean value that a prediction means, where `x = alpha * clean + sigma * noise`.
    fn clean_within(self, x: f32, predicted: f32, alpha: f32, sigma: f32) -> f32 {
        match self {
            Prediction::Epsilon => (x - sigma * predicted) / alpha,
            Prediction::Velocity => alpha * x - sigma * predicted,
            Prediction::Flow => x - sigma * predicted,
        }
    }
}

/// What the denoiser of a sampler sees that counts noise on top of the picture: variance 1.
fn to_unit_variance(sigma: f32) -> f32 {
    1.0 / (sigma * sigma + 1.0).sqrt()
}

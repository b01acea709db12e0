//! Noise levels and the step from one to the next, on the host in f32.

mod config;
mod euler;

pub use config::{Prediction, ScheduleConfig, Spacing};
pub use euler::Euler;

use crate::LoadError;
use fresco_api::Sampler;

/// One run through a schedule: `steps` predictions from noise to latents.
pub trait Schedule {
    /// What unit noise is multiplied by before the first step.
    fn noise_scale(&self) -> f32;
    /// Predictions in all.
    fn steps(&self) -> usize;
    /// The timestep that the denoiser is told at a step.
    fn timestep(&self, step: usize) -> f32;
    /// What latents are multiplied by before the denoiser sees them.
    fn input_scale(&self, step: usize) -> f32;
    /// A clean value with as much noise as there is before a step; none behind the last.
    fn noised(&self, step: usize, clean: f32, noise: f32) -> f32;
    /// Moves `latents` one step on, by the denoiser's `prediction` of the same length.
    fn step(&mut self, step: usize, prediction: &[f32], latents: &mut [f32]);
}

/// The schedule of a sampler.
///
/// # Errors
/// The folder's configuration asks for something that is not built.
pub fn build(sampler: Sampler, config: &ScheduleConfig, steps: usize) -> Result<Box<dyn Schedule>, LoadError> {
    match sampler {
        Sampler::Euler => Ok(Box::new(Euler::new(config, steps)?)),
    }
}

//! Euler's method on the probability-flow ODE (Karras et al. 2022, algorithm 2 without churn), in the
//! variance-exploding form of Crowson's k-diffusion and of diffusers' `EulerDiscreteScheduler`.

use super::{Prediction, Schedule, ScheduleConfig, Spacing};
use crate::LoadError;

/// A run of Euler steps.
#[derive(Clone, Debug)]
pub struct Euler {
    timesteps: Vec<f32>,
    /// One more than timesteps; the last is 0.
    sigmas: Vec<f32>,
    prediction: Prediction,
    noise_scale: f32,
}

impl Euler {
    /// A run of `steps`.
    ///
    /// # Errors
    /// The configuration asks for something that is not built.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self, LoadError> {
        config.check()?;
        let timesteps = timesteps(config, steps.max(1));
        let trained = config.sigmas();
        let mut sigmas: Vec<f32> = timesteps.iter().map(|t| interpolate(&trained, f64::from(*t))).collect();
        let largest = sigmas.iter().copied().fold(0.0, f32::max);
        let noise_scale = match config.timestep_spacing {
            Spacing::Linspace | Spacing::Trailing => largest,
            Spacing::Leading => (largest * largest + 1.0).sqrt(),
        };
        sigmas.push(0.0);
        Ok(Self { timesteps, sigmas, prediction: config.prediction_type, noise_scale })
    }

    /// The noise levels, one more than steps.
    pub fn sigmas(&self) -> &[f32] {
        &self.sigmas
    }
}

impl Schedule for Euler {
    fn noise_scale(&self) -> f32 {
        self.noise_scale
    }

    fn steps(&self) -> usize {
        self.timesteps.len()
    }

    fn timestep(&self, step: usize) -> f32 {
        self.timesteps[step]
    }

    fn input_scale(&self, step: usize) -> f32 {
        let sigma = self.sigmas[step];
        1.0 / (sigma * sigma + 1.0).sqrt()
    }

    fn noised(&self, step: usize, clean: f32, noise: f32) -> f32 {
        clean + noise * self.sigmas[step]
    }

    fn step(&mut self, step: usize, prediction: &[f32], latents: &mut [f32]) {
        let (sigma, next) = (self.sigmas[step], self.sigmas[step + 1]);
        let squared = sigma * sigma + 1.0;
        for (x, y) in latents.iter_mut().zip(prediction) {
            let clean = match self.prediction {
                Prediction::Epsilon => *x - sigma * y,
                Prediction::Velocity => y * (-sigma / squared.sqrt()) + *x / squared,
            };
            let derivative = (*x - clean) / sigma;
            *x += derivative * (next - sigma);
        }
    }
}

/// The timesteps of a run, largest first.
fn timesteps(config: &ScheduleConfig, steps: usize) -> Vec<f32> {
    let trained = config.num_train_timesteps;
    match config.timestep_spacing {
        Spacing::Linspace => {
            let step = (trained - 1) as f64 / (steps.max(2) - 1) as f64;
            // A single step starts where the reference's linspace starts: at 0.
            (0..steps).rev().map(|i| (i as f64 * step) as f32).collect()
        }
        Spacing::Leading => {
            let ratio = trained / steps;
            (0..steps).rev().map(|i| (i * ratio + config.steps_offset) as f32).collect()
        }
        Spacing::Trailing => {
            let ratio = trained as f64 / steps as f64;
            (0..steps).map(|i| ((trained as f64 - i as f64 * ratio).round_ties_even() - 1.0) as f32).collect()
        }
    }
}

/// The value at a fractional place, as `numpy.interp`.
fn interpolate(values: &[f32], place: f64) -> f32 {
    let last = values.len() - 1;
    let before = (place.max(0.0) as usize).min(last);
    let after = (before + 1).min(last);
    let (low, high) = (f64::from(values[before]), f64::from(values[after]));
    ((high - low) * (place - before as f64).clamp(0.0, 1.0) + low) as f32
}

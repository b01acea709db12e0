//! Euler's method on the probability-flow ODE (Karras et al. 2022, algorithm 2 without churn), in the
//! variance-exploding form of Crowson's k-diffusion and of diffusers' `EulerDiscreteScheduler`.

use super::{Levels, Prediction, Schedule, ScheduleConfig, to_unit_variance};
use crate::noise::Generator;

/// A run of Euler steps.
#[derive(Clone, Debug)]
pub struct Euler {
    levels: Levels,
    prediction: Prediction,
    noise_scale: f32,
}

impl Euler {
    /// A run of `steps`, at least one.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Self {
        let levels = Levels::exploding(config, steps);
        let noise_scale = levels.noise_scale(config);
        Self { levels, prediction: config.prediction_type, noise_scale }
    }

    /// The noise levels, one more than steps.
    pub fn sigmas(&self) -> &[f32] {
        &self.levels.sigmas
    }
}

impl Schedule for Euler {
    fn noise_scale(&self) -> f32 {
        self.noise_scale
    }

    fn steps(&self) -> usize {
        self.levels.timesteps.len()
    }

    fn timestep(&self, evaluation: usize) -> f32 {
        self.levels.timesteps[evaluation]
    }

    fn input_scale(&self, evaluation: usize) -> f32 {
        to_unit_variance(self.levels.sigmas[evaluation])
    }

    fn noised(&self, evaluation: usize, clean: f32, noise: f32) -> f32 {
        if evaluation == self.evaluations() { clean } else { clean + noise * self.levels.sigmas[evaluation] }
    }

    fn advance(&mut self, evaluation: usize, prediction: &[f32], latents: &mut [f32], _: &mut Generator) {
        let (sigma, next) = (self.levels.sigmas[evaluation], self.levels.sigmas[evaluation + 1]);
        for (x, predicted) in latents.iter_mut().zip(prediction) {
            let clean = self.prediction.clean_below(*x, *predicted, sigma);
            let derivative = (*x - clean) / sigma;
            *x += derivative * (next - sigma);
        }
    }
}

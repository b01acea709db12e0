//! Euler's method with fresh noise after each step, "ancestral" sampling as Crowson's k-diffusion has it
//! and diffusers' `EulerAncestralDiscreteScheduler`; the split of a step after Song et al. 2021 (DDPM's variance).

use super::{Levels, Prediction, Schedule, ScheduleConfig, to_unit_variance};
use crate::noise::Generator;

/// A run of ancestral Euler steps.
pub struct Ancestral {
    levels: Levels,
    prediction: Prediction,
    noise_scale: f32,
}

impl Ancestral {
    /// A run of `steps`, at least one. It ends without noise, whatever the configuration says.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Self {
        let mut levels = Levels::exploding(config, steps);
        levels.end_clean();
        let noise_scale = levels.noise_scale(config);
        Self { levels, prediction: config.prediction_type, noise_scale }
    }
}

/// How far a step from `sigma` to `next` goes down without noise, and how much noise comes back up.
pub(super) fn split(sigma: f32, next: f32) -> (f32, f32) {
    let up = (next * next * (sigma * sigma - next * next) / (sigma * sigma)).sqrt();
    ((next * next - up * up).sqrt(), up)
}

impl Schedule for Ancestral {
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
        clean + noise * self.levels.sigmas[evaluation]
    }

    fn advance(&mut self, evaluation: usize, prediction: &[f32], latents: &mut [f32], generator: &mut Generator) {
        let (sigma, next) = (self.levels.sigmas[evaluation], self.levels.sigmas[evaluation + 1]);
        let (down, up) = split(sigma, next);
        // The reference draws for the last step too, which adds none of it.
        let noise = generator.normal(latents.len());
        for ((x, predicted), noise) in latents.iter_mut().zip(prediction).zip(noise) {
            let clean = self.prediction.clean_below(*x, *predicted, sigma);
            let derivative = (*x - clean) / sigma;
            *x = *x + derivative * (down - sigma) + noise * up;
        }
    }
}

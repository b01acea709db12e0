//! Multistep sampling of latent consistency models (Luo et al. 2023, algorithm 3), as diffusers' `LCMScheduler`.

use super::{Prediction, Schedule, ScheduleConfig, ddim::noised};
use crate::noise::Generator;

/// The deviation of data that the boundary conditions suppose (Song et al. 2023, appendix C).
const DATA: f32 = 0.5;

/// A run of LCM steps: a whole picture each time, and fresh noise on it.
pub struct Lcm {
    timesteps: Vec<usize>,
    alphas: Vec<f32>,
    scaling: f32,
    prediction: Prediction,
}

impl Lcm {
    /// A run of `steps`, at least one and at most as many as the model was distilled from.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Self {
        let original = config.original_inference_steps;
        let stride = config.num_train_timesteps / original;
        // Every `original / steps`th of the distillation's timesteps, from the last.
        let skipped = |i: usize| (i as f64 * (original as f64 / steps as f64)) as usize;
        let timesteps = (0..steps).map(|i| (original - skipped(i)) * stride - 1).collect();
        let (alphas, scaling) = (config.alphas_with_zero(), config.timestep_scaling);
        Self { timesteps, alphas, scaling, prediction: config.prediction_type }
    }
}

impl Schedule for Lcm {
    fn noise_scale(&self) -> f32 {
        1.0
    }

    fn steps(&self) -> usize {
        self.timesteps.len()
    }

    fn timestep(&self, evaluation: usize) -> f32 {
        self.timesteps[evaluation] as f32
    }

    fn noised(&self, evaluation: usize, clean: f32, noise: f32) -> f32 {
        self.timesteps.get(evaluation).map_or(clean, |time| noised(self.alphas[*time], clean, noise))
    }

    fn advance(&mut self, evaluation: usize, prediction: &[f32], latents: &mut [f32], generator: &mut Generator) {
        let time = self.timesteps[evaluation];
        let alpha = self.alphas[time];
        let scaled = time as f32 * self.scaling;
        let squared = scaled * scaled + DATA * DATA;
        let (skip, out) = (DATA * DATA / squared, scaled / squared.sqrt());
        let (kept, added) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        for (x, predicted) in latents.iter_mut().zip(prediction) {
            let clean = self.prediction.clean_within(*x, *predicted, kept, added);
            *x = out * clean + skip * *x;
        }
        if let Some(next) = self.timesteps.get(evaluation + 1) {
            let noise = generator.normal(latents.len());
            latents.iter_mut().zip(noise).for_each(|(x, noise)| *x = self::noised(self.alphas[*next], *x, noise));
        }
    }
}

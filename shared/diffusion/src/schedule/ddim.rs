//! Denoising diffusion implicit models (Song et al. 2020, equation 12), as diffusers' `DDIMScheduler`.

use super::{Prediction, Schedule, ScheduleConfig, Spacing, levels::whole_timesteps};
use crate::noise::Generator;

/// A run of DDIM steps.
pub struct Ddim {
    timesteps: Vec<usize>,
    /// How much of the picture's variance is left at each training timestep.
    alphas: Vec<f32>,
    /// How much is left behind the last step.
    last_alpha: f32,
    /// Training timesteps between two steps.
    stride: usize,
    /// How much fresh noise is added: 0 none, 1 as DDPM.
    eta: f32,
    prediction: Prediction,
}

impl Ddim {
    /// A run of `steps`, at least one, with `eta` of 0 to 1.
    pub fn new(config: &ScheduleConfig, steps: usize, eta: f32) -> Self {
        let alphas = config.alphas_with_zero();
        let last_alpha = if config.set_alpha_to_one.unwrap_or(true) { 1.0 } else { alphas[0] };
        let spacing = config.timestep_spacing.unwrap_or(Spacing::Leading);
        let timesteps = whole_timesteps(config, spacing, steps);
        let stride = config.num_train_timesteps / steps;
        Self { timesteps, alphas, last_alpha, stride, eta, prediction: config.prediction_type }
    }
}

/// A clean value with noise of what is left of the picture's variance.
pub(super) fn noised(alpha: f32, clean: f32, noise: f32) -> f32 {
    alpha.sqrt() * clean + (1.0 - alpha).sqrt() * noise
}

impl Schedule for Ddim {
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
        let next = time.checked_sub(self.stride).map_or(self.last_alpha, |time| self.alphas[time]);
        let (kept, added) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let variance = (1.0 - next) / (1.0 - alpha) * (1.0 - alpha / next);
        let deviation = self.eta * variance.sqrt();
        let direction = (1.0 - next - deviation * deviation).max(0.0).sqrt();
        for (x, predicted) in latents.iter_mut().zip(prediction) {
            let clean = self.prediction.clean_within(*x, *predicted, kept, added);
            let noise = match self.prediction {
                Prediction::Velocity => kept * predicted + added * *x,
                Prediction::Epsilon | Prediction::Flow => *predicted,
            };
            *x = next.sqrt() * clean + direction * noise;
        }
        if self.eta > 0.0 {
            let noise = generator.normal(latents.len());
            latents.iter_mut().zip(noise).for_each(|(x, noise)| *x += deviation * noise);
        }
    }
}

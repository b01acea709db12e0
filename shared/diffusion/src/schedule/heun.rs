//! Heun's method on the probability-flow ODE (Karras et al. 2022, algorithm 1 without churn), as diffusers'
//! `HeunDiscreteScheduler`: a second evaluation at the end of each step but the last.

use super::{Levels, Prediction, Schedule, ScheduleConfig, to_unit_variance};
use crate::noise::Generator;

/// A run of Heun steps, two evaluations each, one the last.
pub struct Heun {
    levels: Levels,
    prediction: Prediction,
    noise_scale: f32,
    /// The latents before the step, and the derivative there.
    first: Option<(Vec<f32>, Vec<f32>)>,
}

impl Heun {
    /// A run of `steps`, at least one. It ends without noise, whatever the configuration says.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Self {
        let mut levels = Levels::exploding(config, steps);
        levels.end_clean();
        let noise_scale = levels.noise_scale(config);
        Self { levels, prediction: config.prediction_type, noise_scale, first: None }
    }

    /// The step whose noise level an evaluation is at.
    fn level(evaluation: usize) -> usize {
        evaluation.div_ceil(2)
    }
}

impl Schedule for Heun {
    fn noise_scale(&self) -> f32 {
        self.noise_scale
    }

    fn steps(&self) -> usize {
        self.levels.timesteps.len()
    }

    fn evaluations(&self) -> usize {
        2 * self.steps() - 1
    }

    fn begins(&self, step: usize) -> usize {
        2 * step
    }

    fn done(&self, evaluation: usize) -> usize {
        if evaluation == self.evaluations() { self.steps() } else { evaluation / 2 }
    }

    fn timestep(&self, evaluation: usize) -> f32 {
        self.levels.timesteps[Self::level(evaluation)]
    }

    fn input_scale(&self, evaluation: usize) -> f32 {
        to_unit_variance(self.levels.sigmas[Self::level(evaluation)])
    }

    fn noised(&self, evaluation: usize, clean: f32, noise: f32) -> f32 {
        clean + noise * self.levels.sigmas[Self::level(evaluation)]
    }

    fn advance(&mut self, evaluation: usize, prediction: &[f32], latents: &mut [f32], _: &mut Generator) {
        let step = evaluation / 2;
        let (sigma, next) = (self.levels.sigmas[step], self.levels.sigmas[step + 1]);
        let here = self.levels.sigmas[Self::level(evaluation)];
        let derivative = |(x, predicted): (&f32, &f32)| (x - self.prediction.clean_below(*x, *predicted, here)) / here;
        let derivatives: Vec<f32> = latents.iter().zip(prediction).map(derivative).collect();
        let span = next - sigma;
        match self.first.take() {
            Some((before, first)) => {
                for (((x, before), first), second) in latents.iter_mut().zip(before).zip(first).zip(derivatives) {
                    *x = before + (first + second) / 2.0 * span;
                }
            }
            None => {
                self.first = Some((latents.to_vec(), derivatives.clone()));
                latents.iter_mut().zip(derivatives).for_each(|(x, derivative)| *x += derivative * span);
            }
        }
    }
}

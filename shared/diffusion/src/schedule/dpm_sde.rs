//! DPM-Solver++ on the SDE with a midpoint (Lu et al. 2022; `sample_dpmpp_sde` of Crowson's k-diffusion), as
//! diffusers' `DPMSolverSDEScheduler`.
//!
//! The noise of a step's two evaluations belongs to one Brownian path over sigma. The reference looks it up
//! in a tree; here the path is drawn from the run's generator as it is walked, which has the same
//! distribution and needs no tree.

use super::{Levels, Prediction, Schedule, ScheduleConfig, ancestral::split, to_unit_variance};
use crate::noise::Generator;

/// A run with a midpoint in each step but the last.
pub struct DpmSde {
    levels: Levels,
    /// What the denoiser is told at the midpoint of each step but the last.
    midpoints: Vec<f32>,
    prediction: Prediction,
    noise_scale: f32,
    first: Option<First>,
}

/// What a step's second evaluation needs of its first.
struct First {
    /// The latents before the step.
    latents: Vec<f32>,
    /// Unit noise of the path as far as the midpoint.
    noise: Vec<f32>,
}

impl DpmSde {
    /// A run of `steps`, at least one. It ends without noise, whatever the configuration says.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Self {
        let mut levels = Levels::exploding(config, steps);
        levels.end_clean();
        let (midpoints, noise_scale) = (levels.midpoints(config), levels.noise_scale(config));
        Self { levels, midpoints, prediction: config.prediction_type, noise_scale, first: None }
    }

    /// The noise level at the midpoint of a step.
    fn middle(&self, step: usize) -> f32 {
        let (time, next) = (-self.levels.sigmas[step].ln(), -self.levels.sigmas[step + 1].ln());
        (-(time + (next - time) * 0.5)).exp()
    }
}

impl Schedule for DpmSde {
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
        let times = if evaluation.is_multiple_of(2) { &self.levels.timesteps } else { &self.midpoints };
        times[evaluation / 2]
    }

    fn input_scale(&self, evaluation: usize) -> f32 {
        let step = evaluation / 2;
        to_unit_variance(if evaluation.is_multiple_of(2) { self.levels.sigmas[step] } else { self.middle(step) })
    }

    fn noised(&self, evaluation: usize, clean: f32, noise: f32) -> f32 {
        // At a midpoint too as much as diffusers has, which is the noise of the step's end.
        clean + noise * self.levels.sigmas[evaluation.div_ceil(2)]
    }

    fn advance(&mut self, evaluation: usize, prediction: &[f32], latents: &mut [f32], generator: &mut Generator) {
        let step = evaluation / 2;
        let (sigma, next) = (self.levels.sigmas[step], self.levels.sigmas[step + 1]);
        if next == 0.0 {
            for (x, predicted) in latents.iter_mut().zip(prediction) {
                let clean = self.prediction.clean_below(*x, *predicted, sigma);
                *x += (*x - clean) / sigma * (next - sigma);
            }
            return;
        }
        let middle = self.middle(step);
        let fresh = generator.normal(latents.len());
        let (here, to, before, noise) = match self.first.take() {
            None => {
                self.first = Some(First { latents: latents.to_vec(), noise: fresh.clone() });
                (sigma, middle, latents.to_vec(), fresh)
            }
            Some(First { latents: before, noise }) => {
                // The path over the whole step is its first part and its second.
                let (one, two) = ((sigma - middle).sqrt(), (middle - next).sqrt());
                let all = (sigma - next).sqrt();
                let path = noise.iter().zip(fresh).map(|(first, second)| (one * first + two * second) / all).collect();
                (middle, next, before, path)
            }
        };
        let (down, up) = split(sigma, to);
        let (time, down_time) = (-sigma.ln(), -down.ln());
        let (kept, gained) = ((-down_time).exp() / (-time).exp(), (time - down_time).exp_m1());
        for (((x, predicted), before), noise) in latents.iter_mut().zip(prediction).zip(before).zip(noise) {
            let clean = self.prediction.clean_below(*x, *predicted, here);
            *x = kept * before - gained * clean + noise * up;
        }
    }
}

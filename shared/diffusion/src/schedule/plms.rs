//! Pseudo linear multi-steps (Liu et al. 2022, "PNDM", equations 9 and 12), as diffusers' `PNDMScheduler`
//! without Runge-Kutta steps: the first step is made twice, the second time with the mean of both slopes.

use super::{Prediction, Schedule, ScheduleConfig, Spacing, ddim::noised, levels::whole_timesteps};
use crate::noise::Generator;

/// A run of PLMS steps; the first has two evaluations.
pub struct Plms {
    /// One an evaluation: the second is there twice.
    timesteps: Vec<usize>,
    steps: usize,
    alphas: Vec<f32>,
    /// How much of the picture's variance is left behind the last step.
    last_alpha: f32,
    /// Training timesteps between two steps.
    stride: usize,
    prediction: Prediction,
    /// Evaluations so far.
    made: usize,
    /// The latents before the first step.
    first: Vec<f32>,
    /// Up to four predictions, the newest last.
    past: Vec<Vec<f32>>,
}

impl Plms {
    /// A run of `steps`, at least one.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Self {
        let alphas = config.alphas();
        let last_alpha = if config.set_alpha_to_one.unwrap_or(false) { 1.0 } else { alphas[0] };
        let mut timesteps = whole_timesteps(config, config.timestep_spacing.unwrap_or(Spacing::Leading), steps);
        if let Some(second) = timesteps.get(1).copied() {
            timesteps.insert(1, second);
        }
        let stride = config.num_train_timesteps / steps;
        let prediction = config.prediction_type;
        let (first, past) = (Vec::new(), Vec::new());
        Self { timesteps, steps, alphas, last_alpha, stride, prediction, made: 0, first, past }
    }

    /// The slope that past predictions continue to.
    fn slope(&self) -> Vec<f32> {
        let mix = |weights: &[f32], divisor: f32| {
            let newest_first = self.past.iter().rev();
            let mut sum = vec![0.0; self.past.last().map_or(0, Vec::len)];
            for (weight, past) in weights.iter().zip(newest_first) {
                sum.iter_mut().zip(past).for_each(|(sum, past)| *sum += weight * past);
            }
            sum.iter_mut().for_each(|sum| *sum /= divisor);
            sum
        };
        match self.past.len() {
            0 | 1 => mix(&[1.0], 1.0),
            2 => mix(&[3.0, -1.0], 2.0),
            3 => mix(&[23.0, -16.0, 5.0], 12.0),
            _ => mix(&[55.0, -59.0, 37.0, -9.0], 24.0),
        }
    }
}

impl Schedule for Plms {
    fn noise_scale(&self) -> f32 {
        1.0
    }

    fn steps(&self) -> usize {
        self.steps
    }

    fn evaluations(&self) -> usize {
        self.timesteps.len()
    }

    fn done(&self, evaluation: usize) -> usize {
        if self.steps == 1 { evaluation } else { evaluation.saturating_sub(1) }
    }

    fn timestep(&self, evaluation: usize) -> f32 {
        self.timesteps[evaluation] as f32
    }

    fn noised(&self, evaluation: usize, clean: f32, noise: f32) -> f32 {
        self.timesteps.get(evaluation).map_or(clean, |time| noised(self.alphas[*time], clean, noise))
    }

    fn advance(&mut self, evaluation: usize, prediction: &[f32], latents: &mut [f32], _: &mut Generator) {
        let time = self.timesteps[evaluation];
        let second = self.made == 1;
        let (from, to) = if second {
            // The first step once more, from its own beginning. Where a run starts in the middle the
            // reference counts the same way, though its timesteps are another step's.
            ((time + self.stride).min(self.alphas.len() - 1), Some(time))
        } else {
            (time, time.checked_sub(self.stride))
        };
        let slope = if second {
            let newest = self.past.last().map_or(prediction, Vec::as_slice);
            prediction.iter().zip(newest).map(|(now, before)| (now + before) / 2.0).collect()
        } else {
            if self.past.len() == 4 {
                self.past.remove(0);
            }
            self.past.push(prediction.to_vec());
            self.slope()
        };
        if self.made == 0 {
            self.first = latents.to_vec();
        } else if second {
            latents.copy_from_slice(&std::mem::take(&mut self.first));
        }
        self.made += 1;
        let (alpha, next) = (self.alphas[from], to.map_or(self.last_alpha, |time| self.alphas[time]));
        let factor = (next / alpha).sqrt();
        let divisor = alpha * (1.0 - next).sqrt() + (alpha * (1.0 - alpha) * next).sqrt();
        for (x, slope) in latents.iter_mut().zip(slope) {
            let noise = match self.prediction {
                Prediction::Velocity => alpha.sqrt() * slope + (1.0 - alpha).sqrt() * *x,
                Prediction::Epsilon | Prediction::Flow => slope,
            };
            *x = factor * *x - (next - alpha) * noise / divisor;
        }
    }
}

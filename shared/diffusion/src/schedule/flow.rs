//! Euler's method on a rectified flow (Liu et al. 2022; shifted noise levels after Esser et al. 2024, section
//! 5.3.2), as diffusers' `FlowMatchEulerDiscreteScheduler`.

use super::{Levels, Schedule, ScheduleConfig, config::TimeShift, levels::line};
use crate::noise::Generator;

/// A run of Euler steps from noise at 1 to a picture at 0.
pub struct FlowEuler {
    levels: Levels,
}

impl FlowEuler {
    /// A run of `steps`, at least one, over a picture of `tokens`.
    pub fn new(config: &ScheduleConfig, steps: usize, tokens: usize) -> Self {
        let sigmas = config.along_curve(stretched(config, shifted(config, even(config, steps), tokens)));
        let trained = config.num_train_timesteps as f32;
        let sigmas: Vec<f32> = sigmas.into_iter().map(|sigma| sigma as f32).collect();
        let timesteps = sigmas.iter().map(|sigma| sigma * trained).collect();
        Self { levels: Levels { timesteps, sigmas: sigmas.into_iter().chain([0.0]).collect() } }
    }
}

/// Noise levels before the shift: from the largest of the training to the least.
///
/// The training's own levels are shifted already where the shift is fixed, so that it counts twice for the
/// least: published models were tuned with it. SGM-uniform levels are even down to zero, which is left out.
fn even(config: &ScheduleConfig, steps: usize) -> Vec<f64> {
    let trained = config.num_train_timesteps as f32;
    if config.sgm_uniform {
        return line(1.0, 0.0, steps + 1).take(steps).collect();
    }
    let shift = if config.use_dynamic_shifting { 1.0 } else { fixed(config) as f32 };
    let shifted = |sigma: f32| f64::from(shift * sigma / (1.0 + (shift - 1.0) * sigma));
    let (most, least) = (shifted(1.0), shifted(1.0 / trained));
    let trained = f64::from(trained);
    line(most * trained, least * trained, steps).map(|time| time / trained).collect()
}

fn fixed(config: &ScheduleConfig) -> f64 {
    config.shift.or(config.flow_shift).unwrap_or(1.0)
}

fn shifted(config: &ScheduleConfig, sigmas: Vec<f64>, tokens: usize) -> Vec<f64> {
    if !config.use_dynamic_shifting {
        let shift = fixed(config);
        return sigmas.into_iter().map(|sigma| shift * sigma / (1.0 + (shift - 1.0) * sigma)).collect();
    }
    let measure = measure(config, tokens);
    let factor = match config.time_shift_type {
        TimeShift::Exponential => measure.exp(),
        TimeShift::Linear => measure,
    };
    sigmas.into_iter().map(|sigma| factor / (factor + (1.0 / sigma - 1.0))).collect()
}

/// The measure of a picture's size, on a line through the smallest and the largest of the training.
pub(super) fn measure(config: &ScheduleConfig, tokens: usize) -> f64 {
    let (least, most) = (config.base_shift.unwrap_or(0.5), config.max_shift.unwrap_or(1.15));
    let (small, large) = (config.base_image_seq_len as f64, config.max_image_seq_len as f64);
    let slope = (most - least) / (large - small);
    tokens as f64 * slope + (least - slope * small)
}

/// Levels stretched so that the last is the one that the configuration names.
fn stretched(config: &ScheduleConfig, sigmas: Vec<f64>) -> Vec<f64> {
    let (Some(terminal), Some(last)) = (config.shift_terminal.filter(|last| *last != 0.0), sigmas.last().copied())
    else {
        return sigmas;
    };
    let factor = (1.0 - last) / (1.0 - terminal);
    sigmas.into_iter().map(|sigma| 1.0 - (1.0 - sigma) / factor).collect()
}

impl Schedule for FlowEuler {
    fn noise_scale(&self) -> f32 {
        1.0
    }

    fn steps(&self) -> usize {
        self.levels.timesteps.len()
    }

    fn timestep(&self, evaluation: usize) -> f32 {
        self.levels.timesteps[evaluation]
    }

    fn noised(&self, evaluation: usize, clean: f32, noise: f32) -> f32 {
        let sigma = self.levels.sigmas[evaluation];
        sigma * noise + (1.0 - sigma) * clean
    }

    fn advance(&mut self, evaluation: usize, prediction: &[f32], latents: &mut [f32], _: &mut Generator) {
        let span = self.levels.sigmas[evaluation + 1] - self.levels.sigmas[evaluation];
        latents.iter_mut().zip(prediction).for_each(|(x, predicted)| *x += span * predicted);
    }
}

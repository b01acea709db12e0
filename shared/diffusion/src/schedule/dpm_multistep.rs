//! DPM-Solver++ of second order over two steps (Lu et al. 2022, algorithm 2 "2M"; on the SDE their appendix),
//! as diffusers' `DPMSolverMultistepScheduler`.

use super::{
    Levels, Schedule, ScheduleConfig, Settings,
    config::SolverType,
    levels::line,
    within::{Course, Within, shift},
};
use crate::noise::Generator;

/// A run of DPM++ 2M or DPM++ 2M SDE steps.
pub struct DpmMultistep {
    course: Course,
    stochastic: bool,
    trapezoidal: bool,
    /// Whether the last step is of first order.
    plain_end: bool,
    /// The picture that the prediction before this one meant.
    past: Option<Vec<f32>>,
}

impl DpmMultistep {
    /// A run of as many steps as `settings` say, with fresh noise each step when it is `stochastic`.
    pub fn new(config: &ScheduleConfig, settings: &Settings, stochastic: bool) -> Self {
        let course = Course::new(config, settings, || flow_levels(config, settings));
        let short = config.lower_order_final.unwrap_or(true) && settings.steps < 15;
        // Behind the last step there may be no noise, to which a second-order step cannot go.
        let plain_end = config.euler_at_final || short || course.at(settings.steps).sigma == 0.0;
        let trapezoidal = config.solver_type == Some(SolverType::Heun);
        Self { course, stochastic, trapezoidal, plain_end, past: None }
    }

    /// What the picture and its change since the last step are multiplied by, for a step of length `h`.
    fn weights(&self, alpha: f32, h: f32) -> (f32, f32) {
        if self.stochastic {
            let gained = alpha * (1.0 - (-2.0 * h).exp());
            let change =
                if self.trapezoidal { alpha * ((1.0 - (-2.0 * h).exp()) / (-2.0 * h) + 1.0) } else { 0.5 * gained };
            return (gained, change);
        }
        let lost = alpha * ((-h).exp() - 1.0);
        let change = if self.trapezoidal { alpha * (((-h).exp() - 1.0) / h + 1.0) } else { -0.5 * lost };
        (-lost, change)
    }
}

/// A flow's levels as the reference's multistep solver has them; timesteps are cut off.
fn flow_levels(config: &ScheduleConfig, settings: &Settings) -> Levels {
    let (steps, shift) = (settings.steps, shift(config, settings));
    let trained = config.num_train_timesteps as f64;
    let even: Vec<f64> = line(1.0, 1.0 / trained, steps + 1).map(|left| 1.0 - left).collect();
    let sigmas: Vec<f64> = even.into_iter().skip(1).rev().map(|s| shift * s / (1.0 + (shift - 1.0) * s)).collect();
    let timesteps = sigmas.iter().map(|sigma| (sigma * trained).trunc() as f32).collect();
    Levels { timesteps, sigmas: sigmas.into_iter().map(|sigma| sigma as f32).chain([0.0]).collect() }
}

impl Schedule for DpmMultistep {
    fn noise_scale(&self) -> f32 {
        1.0
    }

    fn steps(&self) -> usize {
        self.course.timesteps.len()
    }

    fn timestep(&self, evaluation: usize) -> f32 {
        self.course.timesteps[evaluation]
    }

    fn noised(&self, evaluation: usize, clean: f32, noise: f32) -> f32 {
        self.course.noised(evaluation, clean, noise)
    }

    fn advance(&mut self, step: usize, prediction: &[f32], latents: &mut [f32], generator: &mut Generator) {
        let clean = self.course.clean(step, latents, prediction);
        let (Within { sigma: here, .. }, Within { alpha, sigma }) = (self.course.at(step), self.course.at(step + 1));
        let h = self.course.between(step, step + 1);
        let (gained, change) = self.weights(alpha, h);
        let kept = if self.stochastic { sigma / here * (-h).exp() } else { sigma / here };
        for (x, clean) in latents.iter_mut().zip(&clean) {
            *x = kept * *x + gained * clean;
        }
        let last = step + 1 == self.steps();
        if let Some(past) = self.past.take().filter(|_| !(last && self.plain_end)) {
            let ratio = self.course.between(step - 1, step) / h;
            for ((x, clean), past) in latents.iter_mut().zip(&clean).zip(past) {
                *x += change * ((clean - past) / ratio);
            }
        }
        if self.stochastic {
            let deviation = sigma * (1.0 - (-2.0 * h).exp()).sqrt();
            let noise = generator.normal(latents.len());
            latents.iter_mut().zip(noise).for_each(|(x, noise)| *x += deviation * noise);
        }
        self.past = Some(clean);
    }
}

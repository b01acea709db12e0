//! Unified predictor-corrector (Zhao et al. 2023, algorithms 5 and 6, data prediction) of second order, as
//! diffusers' `UniPCMultistepScheduler`: each prediction first corrects the step that led to it.

use super::{
    Levels, Schedule, ScheduleConfig, Settings,
    config::{FinalSigma, SolverType},
    levels::line,
    within::{Course, Within, shift},
};
use crate::noise::Generator;

/// A flow starts this much below noise alone, where the solver's time is infinite.
const BELOW_ONE: f64 = 1e-6;

/// A run of UniPC steps.
pub struct UniPc {
    course: Course,
    /// Whether `B(h)` is `h`, not `exp(h) - 1`.
    plain: bool,
    /// Latents before the step that led here, corrected, and the order of that step.
    before: Option<(Vec<f32>, usize)>,
    /// Up to two pictures that predictions meant, the newest last.
    past: Vec<Vec<f32>>,
}

/// What both halves need of a step: the exponential integral of time and the solver's two moments.
struct Moments {
    h: f32,
    phi: f32,
    b: f32,
    first: f32,
    second: f32,
}

impl UniPc {
    /// A run of as many steps as `settings` say.
    pub fn new(config: &ScheduleConfig, settings: &Settings) -> Self {
        let course = Course::new(config, settings, || flow_levels(config, settings));
        Self { course, plain: config.solver_type == Some(SolverType::Bh1), before: None, past: Vec::new() }
    }

    fn moments(&self, from: usize, to: usize) -> Moments {
        let h = self.course.between(from, to);
        let phi = (-h).exp_m1();
        let b = if self.plain { -h } else { phi };
        let one = phi / -h - 1.0;
        let two = one / -h - 0.5;
        Moments { h, phi, b, first: one / b, second: two * 2.0 / b }
    }

    /// The step from `from` on by the newest picture alone.
    fn base(&self, from: usize, latents: &[f32], phi: f32) -> Vec<f32> {
        let (here, Within { alpha, sigma }) = (self.course.at(from), self.course.at(from + 1));
        let newest = self.past.last().map_or(latents, Vec::as_slice);
        latents.iter().zip(newest).map(|(x, clean)| sigma / here.sigma * x - alpha * phi * clean).collect()
    }

    /// How the picture changed in the step before `from`, a unit of the step from there.
    fn change(&self, from: usize, h: f32) -> Option<(f32, Vec<f32>)> {
        let [older, newest] = self.past.as_slice() else { return None };
        let ratio = self.course.between(from, from - 1) / h;
        Some((ratio, older.iter().zip(newest).map(|(older, newest)| (older - newest) / ratio).collect()))
    }

    /// The latents as the step that led here would have given them, had it known the picture here.
    fn correct(&self, step: usize, clean: &[f32], before: &[f32], order: usize) -> Vec<f32> {
        let from = step - 1;
        let Moments { h, phi, b, first, second } = self.moments(from, step);
        let alpha = self.course.at(step).alpha;
        let mut latents = self.base(from, before, phi);
        let newest = self.past.last().map_or(clean, Vec::as_slice);
        let change = if order == 2 { self.change(from, h) } else { None };
        // The weights solve [1 1; ratio 1] w = [first second].
        let (old, new) = match &change {
            Some((ratio, _)) => {
                let old = (second - first) / (ratio - 1.0);
                (old, first - old)
            }
            None => (0.0, 0.5),
        };
        for (i, x) in latents.iter_mut().enumerate() {
            let earlier = change.as_ref().map_or(0.0, |(_, change)| old * change[i]);
            *x -= alpha * b * (earlier + new * (clean[i] - newest[i]));
        }
        latents
    }

    fn predict(&self, step: usize, latents: &[f32], order: usize) -> Vec<f32> {
        let Moments { h, phi, b, .. } = self.moments(step, step + 1);
        let mut next = self.base(step, latents, phi);
        let alpha = self.course.at(step + 1).alpha;
        if let (2, Some((_, change))) = (order, self.change(step, h)) {
            next.iter_mut().zip(change).for_each(|(x, change)| *x -= alpha * b * (0.5 * change));
        }
        next
    }
}

/// A flow's levels as the reference's solver has them; timesteps are cut off.
fn flow_levels(config: &ScheduleConfig, settings: &Settings) -> Levels {
    let (steps, shift) = (settings.steps, shift(config, settings));
    let trained = config.num_train_timesteps as f64;
    let shifted = |s: f64| shift * s / (1.0 + (shift - 1.0) * s);
    let mut sigmas: Vec<f64> = line(1.0, 1.0 / trained, steps + 1).take(steps).map(shifted).collect();
    if let Some(first) = sigmas.first_mut().filter(|first| (**first - 1.0).abs() < BELOW_ONE) {
        *first -= BELOW_ONE;
    }
    let timesteps = sigmas.iter().map(|sigma| (sigma * trained).trunc() as f32).collect();
    let last = match config.final_sigmas_type {
        FinalSigma::Zero => 0.0,
        FinalSigma::SigmaMin => sigmas.last().copied().unwrap_or_default(),
    };
    Levels { timesteps, sigmas: sigmas.into_iter().chain([last]).map(|sigma| sigma as f32).collect() }
}

impl Schedule for UniPc {
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

    fn advance(&mut self, step: usize, prediction: &[f32], latents: &mut [f32], _: &mut Generator) {
        let clean = self.course.clean(step, latents, prediction);
        if let Some((before, order)) = self.before.take() {
            latents.copy_from_slice(&self.correct(step, &clean, &before, order));
        }
        if self.past.len() == 2 {
            self.past.remove(0);
        }
        self.past.push(clean);
        // The last step is of first order, and the first has nothing to look back to.
        let order = self.past.len().min(self.steps() - step);
        let next = self.predict(step, latents, order);
        self.before = Some((latents.to_vec(), order));
        latents.copy_from_slice(&next);
    }
}

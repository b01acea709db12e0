//! Noise levels as the multistep solvers see them: `x = alpha * picture + sigma * noise`, and the logarithm
//! of the ratio of the two as time.

use super::{Levels, Prediction, ScheduleConfig, Settings, flow};

/// A noise level as two factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    /// What the picture is multiplied by.
    pub alpha: f32,
    /// What the noise is multiplied by.
    pub sigma: f32,
}

impl Within {
    /// `ln(alpha / sigma)`; infinite where there is no noise.
    pub fn lambda(self) -> f32 {
        self.alpha.ln() - self.sigma.ln()
    }
}

/// The run of a multistep solver, over the training's timesteps or over a flow.
#[derive(Clone, Debug)]
pub struct Course {
    /// What the denoiser is told at each step.
    pub timesteps: Vec<f32>,
    /// One more than timesteps.
    levels: Vec<Within>,
    prediction: Prediction,
}

impl Course {
    pub fn new(config: &ScheduleConfig, settings: &Settings, flow: impl Fn() -> Levels) -> Self {
        let is_flow = config.is_flow();
        let Levels { timesteps, sigmas } = if is_flow { flow() } else { Levels::preserving(config, settings.steps) };
        let within = |sigma: f32| {
            if is_flow {
                return Within { alpha: 1.0 - sigma, sigma };
            }
            let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
            Within { alpha, sigma: sigma * alpha }
        };
        let prediction = if is_flow { Prediction::Flow } else { config.prediction_type };
        Self { timesteps, levels: sigmas.into_iter().map(within).collect(), prediction }
    }

    /// The noise before a step, or behind the last.
    pub fn at(&self, step: usize) -> Within {
        self.levels[step]
    }

    /// How far apart two places are in time.
    pub fn between(&self, from: usize, to: usize) -> f32 {
        self.at(to).lambda() - self.at(from).lambda()
    }

    /// A clean value with the noise of a step; none behind the last.
    pub fn noised(&self, step: usize, clean: f32, noise: f32) -> f32 {
        let Within { alpha, sigma } = self.at(step);
        if step == self.timesteps.len() { clean } else { alpha * clean + sigma * noise }
    }

    /// The pictures that predictions mean.
    pub fn clean(&self, step: usize, latents: &[f32], prediction: &[f32]) -> Vec<f32> {
        let Within { alpha, sigma } = self.at(step);
        let one = |(x, predicted): (&f32, &f32)| self.prediction.clean_within(*x, *predicted, alpha, sigma);
        latents.iter().zip(prediction).map(one).collect()
    }
}

/// How far a multistep solver's configuration moves a flow's noise levels.
pub fn shift(config: &ScheduleConfig, settings: &Settings) -> f64 {
    let fixed = config.flow_shift.or(config.shift).unwrap_or(1.0);
    if config.use_dynamic_shifting { flow::measure(config, settings.tokens).exp() } else { fixed }
}

//! The timesteps and noise levels of a run: which of the training's are visited, and in between.

use super::{ScheduleConfig, Spacing, beta::quantile, config::FinalSigma};

/// Exponent of Karras et al. 2022, equation 5.
const RHO: f64 = 7.0;

/// Timesteps and noise levels, the noisiest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// What the denoiser is told at each step.
    pub timesteps: Vec<f32>,
    /// One more than timesteps: the noise before each step, and behind the last.
    pub sigmas: Vec<f32>,
}

/// How noise levels lie, when not on evenly spaced timesteps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    Karras,
    Exponential,
    Beta,
    SgmUniform,
}

/// The noise levels of the training, to look up and to look back.
struct Trained {
    sigmas: Vec<f32>,
    logarithms: Vec<f32>,
}

impl Levels {
    /// Levels of the samplers that count noise on top of the picture (Euler, Heun, DPM++ SDE).
    ///
    /// As diffusers has them, a curve runs between the noise of the evenly spaced timesteps' ends, and
    /// timesteps may be fractions.
    pub(super) fn exploding(config: &ScheduleConfig, steps: usize) -> Self {
        let trained = Trained::of(config);
        let spacing = config.timestep_spacing.unwrap_or_default();
        let timesteps: Vec<f32> = timesteps(config, spacing, steps).into_iter().map(|t| t as f32).collect();
        let sigmas: Vec<f64> = timesteps.iter().map(|t| trained.sigma(f64::from(*t))).collect();
        let ends = (sigmas.first().copied().unwrap_or_default(), sigmas.last().copied().unwrap_or_default());
        let (timesteps, sigmas) = match config.curve() {
            None => (timesteps, sigmas),
            Some(curve) => {
                let sigmas = trained.along(curve, ends, steps);
                (sigmas.iter().map(|sigma| trained.time(*sigma) as f32).collect(), sigmas)
            }
        };
        Self::ending(timesteps, sigmas, trained.last(config))
    }

    /// Levels of the multistep solvers (DPM++ 2M, UniPC).
    ///
    /// As diffusers has them, a curve runs between the ends of the training, and timesteps are whole:
    /// rounded for Karras's, cut off for others.
    pub(super) fn preserving(config: &ScheduleConfig, steps: usize) -> Self {
        let trained = Trained::of(config);
        let ends = (f64::from(trained.sigmas[trained.sigmas.len() - 1]), f64::from(trained.sigmas[0]));
        let (timesteps, sigmas) = match config.curve() {
            None => {
                let timesteps = timesteps_of_one_more(config, steps);
                let sigmas = timesteps.iter().map(|t| trained.sigma(*t)).collect();
                (timesteps.into_iter().map(|t| t as f32).collect(), sigmas)
            }
            Some(curve) => {
                let sigmas = trained.along(curve, ends, steps);
                let whole = |t: f64| if curve == Curve::Karras { t.round_ties_even() } else { t.trunc() };
                (sigmas.iter().map(|sigma| whole(trained.time(*sigma)) as f32).collect(), sigmas)
            }
        };
        Self::ending(timesteps, sigmas, trained.last(config))
    }

    fn ending(timesteps: Vec<f32>, sigmas: Vec<f64>, last: f32) -> Self {
        let sigmas = sigmas.into_iter().map(|sigma| sigma as f32).chain([last]).collect();
        Self { timesteps, sigmas }
    }

    /// Leaves no noise behind the last step.
    pub(super) fn end_clean(&mut self) {
        if let Some(last) = self.sigmas.last_mut() {
            *last = 0.0;
        }
    }

    /// What unit noise is multiplied by for a sampler that counts noise on top of the picture.
    pub(super) fn noise_scale(&self, config: &ScheduleConfig) -> f32 {
        let largest = self.sigmas.iter().copied().fold(0.0, f32::max);
        match config.timestep_spacing.unwrap_or_default() {
            Spacing::Linspace | Spacing::Trailing => largest,
            Spacing::Leading => (largest * largest + 1.0).sqrt(),
        }
    }

    /// The timestep halfway between each step's noise levels, in the logarithm; none behind the last step.
    pub(super) fn midpoints(&self, config: &ScheduleConfig) -> Vec<f32> {
        let trained = Trained::of(config);
        let halfway = |two: &[f32]| {
            let (now, next) = (f64::from(two[0]).ln(), f64::from(two[1]).ln());
            trained.time((now + 0.5 * (next - now)).exp()) as f32
        };
        self.sigmas[..self.timesteps.len()].windows(2).map(halfway).collect()
    }
}

impl ScheduleConfig {
    fn curve(&self) -> Option<Curve> {
        let asked = [
            (self.sgm_uniform, Curve::SgmUniform),
            (self.use_karras_sigmas, Curve::Karras),
            (self.use_exponential_sigmas, Curve::Exponential),
            (self.use_beta_sigmas, Curve::Beta),
        ];
        asked.into_iter().find(|(asked, _)| *asked).map(|(_, curve)| curve)
    }

    /// A flow's noise levels moved to the curve that is asked for, between their own ends.
    pub(super) fn along_curve(&self, sigmas: Vec<f64>) -> Vec<f64> {
        let ends = (sigmas.first().copied().unwrap_or_default(), sigmas.last().copied().unwrap_or_default());
        match self.curve() {
            None | Some(Curve::SgmUniform) => sigmas,
            Some(Curve::Karras) => karras(ends, sigmas.len()),
            Some(Curve::Exponential) => exponential(ends, sigmas.len()),
            Some(Curve::Beta) => beta(ends, sigmas.len()),
        }
    }
}

impl Trained {
    fn of(config: &ScheduleConfig) -> Self {
        let sigmas = config.sigmas();
        let logarithms = sigmas.iter().map(|sigma| f64::from(*sigma).ln() as f32).collect();
        Self { sigmas, logarithms }
    }

    /// The noise at a fractional timestep, as `numpy.interp`.
    fn sigma(&self, time: f64) -> f64 {
        between(&self.sigmas, time)
    }

    /// The fractional timestep of a noise level.
    fn time(&self, sigma: f64) -> f64 {
        let wanted = sigma.max(1e-10).ln();
        let below = self.logarithms.partition_point(|level| f64::from(*level) <= wanted).saturating_sub(1);
        let low = below.min(self.logarithms.len() - 2);
        let (before, after) = (self.logarithms[low], self.logarithms[low + 1]);
        let part = ((f64::from(before) - wanted) / f64::from(before - after)).clamp(0.0, 1.0);
        (1.0 - part) * low as f64 + part * (low + 1) as f64
    }

    fn along(&self, curve: Curve, ends: (f64, f64), steps: usize) -> Vec<f64> {
        match curve {
            Curve::Karras => karras(ends, steps),
            Curve::Exponential => exponential(ends, steps),
            Curve::Beta => beta(ends, steps),
            Curve::SgmUniform => {
                let last = (self.sigmas.len() - 1) as f64;
                let times = line(last, 0.0, steps + 1).take(steps);
                times.map(|time| between(&self.logarithms, time).exp()).collect()
            }
        }
    }

    fn last(&self, config: &ScheduleConfig) -> f32 {
        match config.final_sigmas_type {
            FinalSigma::Zero => 0.0,
            FinalSigma::SigmaMin => self.sigmas[0],
        }
    }
}

/// Karras et al. 2022, equation 5, from the largest to the least.
fn karras((most, least): (f64, f64), steps: usize) -> Vec<f64> {
    line(most.powf(1.0 / RHO), least.powf(1.0 / RHO), steps).map(|root| root.powf(RHO)).collect()
}

fn exponential((most, least): (f64, f64), steps: usize) -> Vec<f64> {
    line(most.ln(), least.ln(), steps).map(f64::exp).collect()
}

/// Lee et al. 2024, with both parameters 0.6.
fn beta((most, least): (f64, f64), steps: usize) -> Vec<f64> {
    line(1.0, 0.0, steps).map(|part| least + quantile(part) * (most - least)).collect()
}

/// `numpy.linspace`, both ends included; the start alone when there is one value.
pub(super) fn line(start: f64, end: f64, n: usize) -> impl Iterator<Item = f64> {
    let step = (end - start) / (n.max(2) - 1) as f64;
    (0..n).map(move |i| if i > 0 && i + 1 == n { end } else { start + i as f64 * step })
}

/// The value at a fractional place, as `numpy.interp`.
fn between(values: &[f32], place: f64) -> f64 {
    let last = values.len() - 1;
    let before = (place.max(0.0) as usize).min(last);
    let after = (before + 1).min(last);
    let (low, high) = (f64::from(values[before]), f64::from(values[after]));
    (high - low) * (place - before as f64).clamp(0.0, 1.0) + low
}

/// The evenly spaced timesteps of a run, largest first.
fn timesteps(config: &ScheduleConfig, spacing: Spacing, steps: usize) -> Vec<f64> {
    let trained = config.num_train_timesteps;
    match spacing {
        Spacing::Linspace => {
            let step = (trained - 1) as f64 / (steps.max(2) - 1) as f64;
            // A single step starts where the reference's linspace starts: at 0.
            (0..steps).rev().map(|i| i as f64 * step).collect()
        }
        Spacing::Leading => leading(config, trained / steps, 0..steps),
        Spacing::Trailing => trailing(trained, steps),
    }
}

/// The same as whole numbers, for the samplers that index the training's timesteps.
pub(super) fn whole_timesteps(config: &ScheduleConfig, spacing: Spacing, steps: usize) -> Vec<usize> {
    let last = config.num_train_timesteps - 1;
    // An offset may lead behind the last.
    timesteps(config, spacing, steps).into_iter().map(|t| (t.round_ties_even() as usize).min(last)).collect()
}

/// One timestep more than steps, without the last, so that the last step ends above zero.
fn timesteps_of_one_more(config: &ScheduleConfig, steps: usize) -> Vec<f64> {
    let trained = config.num_train_timesteps;
    match config.timestep_spacing.unwrap_or_default() {
        Spacing::Linspace => {
            let step = (trained - 1) as f64 / steps as f64;
            (1..=steps).rev().map(|i| (i as f64 * step).round_ties_even()).collect()
        }
        Spacing::Leading => leading(config, trained / (steps + 1), 1..steps + 1),
        Spacing::Trailing => trailing(trained, steps),
    }
}

fn leading(config: &ScheduleConfig, ratio: usize, multiples: std::ops::Range<usize>) -> Vec<f64> {
    multiples.rev().map(|i| (i * ratio + config.steps_offset) as f64).collect()
}

fn trailing(trained: usize, steps: usize) -> Vec<f64> {
    let ratio = trained as f64 / steps as f64;
    (0..steps).map(|i| (trained as f64 - i as f64 * ratio).round_ties_even() - 1.0).collect()
}

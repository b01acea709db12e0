//! `scheduler/scheduler_config.json`, whatever scheduler wrote it.

use crate::LoadError;
use serde::Deserialize;

/// The file that errors name.
pub const FILE: &str = "scheduler/scheduler_config.json";

/// How timesteps are spread over the training schedule (Lin et al. 2023, table 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// From last to first, both included.
    #[default]
    Linspace,
    /// Multiples from the first; the last is missed.
    Leading,
    /// Multiples from the last; the first is missed.
    Trailing,
}

/// What the denoiser predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Prediction {
    /// The noise.
    #[default]
    #[serde(rename = "epsilon")]
    Epsilon,
    /// Velocity (Salimans & Ho 2022).
    #[serde(rename = "v_prediction")]
    Velocity,
}

/// How noise grows over the training schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Betas {
    /// Linear in beta (Ho et al. 2020).
    #[default]
    Linear,
    /// Linear in the root of beta (Rombach et al. 2022).
    ScaledLinear,
}

/// The part of a scheduler's configuration that the training fixed, with diffusers' defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct ScheduleConfig {
    /// Timesteps of the training.
    pub num_train_timesteps: usize,
    /// First beta.
    pub beta_start: f64,
    /// Last beta.
    pub beta_end: f64,
    /// How betas lie between.
    pub beta_schedule: Betas,
    /// Betas one by one; not built.
    pub trained_betas: Option<Vec<f64>>,
    /// What the denoiser predicts.
    pub prediction_type: Prediction,
    /// How timesteps are spread.
    pub timestep_spacing: Spacing,
    /// Added to timesteps of leading spacing.
    pub steps_offset: usize,
    /// Rescales betas so that the last timestep is pure noise; not built.
    pub rescale_betas_zero_snr: bool,
    /// Karras et al. 2022 spacing; not built.
    pub use_karras_sigmas: bool,
    /// Exponential spacing; not built.
    pub use_exponential_sigmas: bool,
    /// Beta-distributed spacing; not built.
    pub use_beta_sigmas: bool,
    /// The sigma behind the last step: `zero` is built.
    pub final_sigmas_type: String,
    /// How sigmas lie between training timesteps: `linear` is built.
    pub interpolation_type: String,
    /// Whether timesteps are those of the training: `discrete` is built.
    pub timestep_type: String,
    /// Another least sigma; not built.
    pub sigma_min: Option<f64>,
    /// Another largest sigma; not built.
    pub sigma_max: Option<f64>,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: Betas::Linear,
            trained_betas: None,
            prediction_type: Prediction::Epsilon,
            timestep_spacing: Spacing::Linspace,
            steps_offset: 0,
            rescale_betas_zero_snr: false,
            use_karras_sigmas: false,
            use_exponential_sigmas: false,
            use_beta_sigmas: false,
            final_sigmas_type: "zero".to_owned(),
            interpolation_type: "linear".to_owned(),
            timestep_type: "discrete".to_owned(),
            sigma_min: None,
            sigma_max: None,
        }
    }
}

impl ScheduleConfig {
    /// # Errors
    /// A number out of range, or an option that is not built.
    pub fn check(&self) -> Result<(), LoadError> {
        let not_built = [
            ("trained_betas", self.trained_betas.is_some()),
            ("rescale_betas_zero_snr", self.rescale_betas_zero_snr),
            ("use_karras_sigmas", self.use_karras_sigmas),
            ("use_exponential_sigmas", self.use_exponential_sigmas),
            ("use_beta_sigmas", self.use_beta_sigmas),
            ("final_sigmas_type", self.final_sigmas_type != "zero"),
            ("interpolation_type", self.interpolation_type != "linear"),
            ("timestep_type", self.timestep_type != "discrete"),
            ("sigma_min", self.sigma_min.is_some()),
            ("sigma_max", self.sigma_max.is_some()),
        ];
        if let Some((what, _)) = not_built.iter().find(|(_, asked)| *asked) {
            return Err(LoadError::unsupported(FILE, what));
        }
        if !(2..=100_000).contains(&self.num_train_timesteps) {
            return Err(LoadError::bad(FILE, "num_train_timesteps must be 2 to 100000"));
        }
        if self.steps_offset >= self.num_train_timesteps {
            return Err(LoadError::bad(FILE, "steps_offset must be below num_train_timesteps"));
        }
        let increasing = 0.0 < self.beta_start && self.beta_start <= self.beta_end && self.beta_end < 1.0;
        if !increasing {
            return Err(LoadError::bad(FILE, "betas must lie between 0 and 1 and not fall"));
        }
        Ok(())
    }

    /// The noise level of every training timestep: `sqrt((1 - a) / a)` with `a` the product of `1 - beta`.
    ///
    /// Rounded where torch rounds: betas and products are f32, the running product is f64.
    pub fn sigmas(&self) -> Vec<f32> {
        let mut product = 1.0f64;
        let sigma = |beta: f32| {
            product *= f64::from(1.0 - beta);
            let kept = product as f32;
            ((1.0 - kept) / kept).sqrt()
        };
        self.betas().into_iter().map(sigma).collect()
    }

    fn betas(&self) -> Vec<f32> {
        let n = self.num_train_timesteps;
        match self.beta_schedule {
            Betas::Linear => linspace(self.beta_start as f32, self.beta_end as f32, n),
            Betas::ScaledLinear => {
                let roots = linspace(self.beta_start.sqrt() as f32, self.beta_end.sqrt() as f32, n);
                roots.into_iter().map(|root| root * root).collect()
            }
        }
    }
}

/// `torch.linspace` in f32: each half counts from its own end.
fn linspace(start: f32, end: f32, n: usize) -> Vec<f32> {
    let step = (end - start) / (n - 1) as f32;
    let at = |i: usize| if i < n / 2 { start + step * i as f32 } else { end - step * (n - 1 - i) as f32 };
    (0..n).map(at).collect()
}

//! `scheduler/scheduler_config.json`, whatever scheduler wrote it.

use super::options::{
    Algorithm, Betas, Class, FinalSigma, Interpolation, Prediction, SolverType, Spacing, TimeShift, Times,
};
use crate::{LoadError, Source, config::read_text};
use fresco_api::Sampler;
use serde::Deserialize;

/// The file that errors name.
pub const FILE: &str = "scheduler/scheduler_config.json";

/// A scheduler's configuration, with diffusers' defaults. What is `None` has a default of each sampler's own.
///
/// `clip_sample` is not read: it is for models of pixels, and the reference's latent pipelines turn it off.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct ScheduleConfig {
    /// The scheduler that the folder was published with.
    #[serde(rename = "_class_name")]
    pub class: Class,
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
    pub timestep_spacing: Option<Spacing>,
    /// Added to timesteps of leading spacing.
    pub steps_offset: usize,
    /// Rescales betas so that the last timestep is pure noise (Lin et al. 2023, algorithm 1).
    pub rescale_betas_zero_snr: bool,
    /// Karras et al. 2022 spacing.
    pub use_karras_sigmas: bool,
    /// Exponential spacing.
    pub use_exponential_sigmas: bool,
    /// Beta-distributed spacing.
    pub use_beta_sigmas: bool,
    /// Lu et al. 2022 spacing; not built.
    pub use_lu_lambdas: bool,
    /// The sigma behind the last step.
    pub final_sigmas_type: FinalSigma,
    /// How sigmas lie between training timesteps.
    pub interpolation_type: Interpolation,
    /// What the denoiser is told of the noise.
    pub timestep_type: Times,
    /// Another least sigma; not built.
    pub sigma_min: Option<f64>,
    /// Another largest sigma; not built.
    pub sigma_max: Option<f64>,
    /// The least logarithm of picture over noise; any but none is not built.
    pub lambda_min_clipped: Option<f64>,
    /// Clips the prediction of a quantile; not built.
    pub thresholding: bool,
    /// Whether nothing is left of the noise behind the last step of DDIM and PLMS.
    pub set_alpha_to_one: Option<bool>,
    /// Whether PLMS starts without Runge-Kutta steps, as is built.
    pub skip_prk_steps: Option<bool>,
    /// What a multistep solver solves.
    pub algorithm_type: Option<Algorithm>,
    /// Order of a multistep solver; 2 is built.
    pub solver_order: Option<usize>,
    /// The formula of a multistep solver.
    pub solver_type: Option<SolverType>,
    /// Whether a multistep solver ends a short run with a first-order step.
    pub lower_order_final: Option<bool>,
    /// Whether DPM-Solver++ ends every run with a first-order step.
    pub euler_at_final: bool,
    /// Steps that an LCM was distilled from.
    pub original_inference_steps: usize,
    /// What an LCM's boundary conditions multiply timesteps by.
    pub timestep_scaling: f32,
    /// How far a flow's noise levels are moved towards the noisy end.
    pub shift: Option<f64>,
    /// The same, as the multistep solvers' configurations call it.
    pub flow_shift: Option<f64>,
    /// Whether a multistep solver's model predicts a flow.
    pub use_flow_sigmas: bool,
    /// Whether the shift depends on the picture's size.
    pub use_dynamic_shifting: bool,
    /// The measure of the smallest picture.
    pub base_shift: Option<f64>,
    /// The measure of the largest.
    pub max_shift: Option<f64>,
    /// Tokens of the smallest picture.
    pub base_image_seq_len: usize,
    /// Tokens of the largest.
    pub max_image_seq_len: usize,
    /// How the measure moves noise levels.
    pub time_shift_type: TimeShift,
    /// The last noise level but zero, to which the others are stretched.
    pub shift_terminal: Option<f64>,
    /// Noise levels from picture to noise; not built.
    pub invert_sigmas: bool,
    /// Fresh noise each step of a flow; not built.
    pub stochastic_sampling: bool,
    /// Set by a request for SGM-uniform spacing; no file says it.
    #[serde(skip)]
    pub(crate) sgm_uniform: bool,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            class: Class::default(),
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: Betas::Linear,
            trained_betas: None,
            prediction_type: Prediction::Epsilon,
            timestep_spacing: None,
            steps_offset: 0,
            rescale_betas_zero_snr: false,
            use_karras_sigmas: false,
            use_exponential_sigmas: false,
            use_beta_sigmas: false,
            use_lu_lambdas: false,
            final_sigmas_type: FinalSigma::Zero,
            interpolation_type: Interpolation::Linear,
            timestep_type: Times::Discrete,
            sigma_min: None,
            sigma_max: None,
            lambda_min_clipped: None,
            thresholding: false,
            set_alpha_to_one: None,
            skip_prk_steps: None,
            algorithm_type: None,
            solver_order: None,
            solver_type: None,
            lower_order_final: None,
            euler_at_final: false,
            original_inference_steps: 50,
            timestep_scaling: 10.0,
            shift: None,
            flow_shift: None,
            use_flow_sigmas: false,
            use_dynamic_shifting: false,
            base_shift: None,
            max_shift: None,
            base_image_seq_len: 256,
            max_image_seq_len: 4096,
            time_shift_type: TimeShift::Exponential,
            shift_terminal: None,
            invert_sigmas: false,
            stochastic_sampling: false,
            sgm_uniform: false,
        }
    }
}

impl ScheduleConfig {
    /// A folder's file.
    ///
    /// # Errors
    /// The file is missing, too long, or not of the expected form.
    pub async fn read(source: &impl Source) -> Result<Self, LoadError> {
        let bytes = read_text(source, FILE).await?.ok_or_else(|| LoadError::bad(FILE, "the file is missing"))?;
        let text = String::from_utf8(bytes).map_err(|error| LoadError::bad(FILE, error))?;
        Self::parse(&text)
    }

    /// A file's text, in which diffusers writes `-Infinity` for a bound that is none. That is no JSON.
    ///
    /// # Errors
    /// It is not of the expected form.
    pub fn parse(text: &str) -> Result<Self, LoadError> {
        let text = text.replace(": -Infinity", ": null");
        serde_json::from_str(&text).map_err(|error| LoadError::bad(FILE, error))
    }

    /// # Errors
    /// A number out of range, or an option that is not built.
    pub fn check(&self) -> Result<(), LoadError> {
        self.check_built()?;
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
        if !(1..=self.num_train_timesteps).contains(&self.original_inference_steps) {
            return Err(LoadError::bad(FILE, "original_inference_steps must be 1 to num_train_timesteps"));
        }
        let shifts = [self.shift, self.flow_shift, self.base_shift, self.max_shift];
        if shifts.into_iter().flatten().any(|shift| !(shift > 0.0 && shift <= 1000.0)) {
            return Err(LoadError::bad(FILE, "a shift must lie above 0"));
        }
        if self.base_image_seq_len >= self.max_image_seq_len {
            return Err(LoadError::bad(FILE, "max_image_seq_len must be above base_image_seq_len"));
        }
        if self.shift_terminal.is_some_and(|last| !(0.0..1.0).contains(&last)) {
            return Err(LoadError::bad(FILE, "shift_terminal must lie between 0 and 1"));
        }
        let ways = [self.use_karras_sigmas, self.use_exponential_sigmas, self.use_beta_sigmas];
        if ways.into_iter().filter(|asked| *asked).count() > 1 {
            let message = "only one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas can be true";
            return Err(LoadError::bad(FILE, message));
        }
        Ok(())
    }

    fn check_built(&self) -> Result<(), LoadError> {
        let unbuilt = |algorithm| matches!(algorithm, Algorithm::Dpmsolver | Algorithm::SdeDpmsolver);
        let not_built = [
            ("_class_name of another family", self.class == Class::OtherFamily),
            ("trained_betas", self.trained_betas.is_some()),
            ("interpolation_type", self.interpolation_type != Interpolation::Linear),
            ("timestep_type", self.timestep_type != Times::Discrete),
            ("sigma_min", self.sigma_min.is_some()),
            ("sigma_max", self.sigma_max.is_some()),
            ("use_lu_lambdas", self.use_lu_lambdas),
            ("lambda_min_clipped", self.lambda_min_clipped.is_some()),
            ("thresholding", self.thresholding),
            ("skip_prk_steps = false", self.skip_prk_steps == Some(false) && self.class == Class::Pndm),
            ("algorithm_type", self.algorithm_type.is_some_and(unbuilt)),
            ("solver_order", self.solver_order.is_some_and(|order| order != 2)),
            ("invert_sigmas", self.invert_sigmas),
            ("stochastic_sampling", self.stochastic_sampling),
        ];
        match not_built.iter().find(|(_, asked)| *asked) {
            Some((what, _)) => Err(LoadError::unsupported(FILE, what)),
            None => Ok(()),
        }
    }

    /// Whether the denoiser predicts a flow, whose noise levels run from 0 to 1.
    pub fn is_flow(&self) -> bool {
        self.prediction_type == Prediction::Flow || self.use_flow_sigmas || matches!(self.class, Class::FlowMatch(_))
    }

    /// The sampler that the folder was published with; the nearest there is.
    pub fn sampler(&self) -> Sampler {
        let sampler = match self.class {
            Class::DpmMultistep if self.algorithm_type == Some(Algorithm::SdeDpmsolverPlusPlus) => Sampler::Dpmpp2mSde,
            Class::DpmMultistep => Sampler::Dpmpp2m,
            Class::Pndm => Sampler::Plms,
            Class::FlowMatch(sampler) | Class::Other(sampler) => sampler,
            Class::OtherFamily => Sampler::Euler,
        };
        if self.supports(sampler) { sampler } else { Sampler::Euler }
    }

    /// Whether a sampler can run this folder's denoiser.
    pub fn supports(&self, sampler: Sampler) -> bool {
        let of_flows = [Sampler::Euler, Sampler::Dpmpp2m, Sampler::Dpmpp2mSde, Sampler::UniPc];
        !self.is_flow() || of_flows.contains(&sampler)
    }
}

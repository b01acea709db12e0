//! From a sampler's name and a folder's configuration to a schedule.

use super::{
    Euler, Schedule, ScheduleConfig, Spacing, ancestral::Ancestral, ddim::Ddim, dpm_multistep::DpmMultistep,
    dpm_sde::DpmSde, flow::FlowEuler, heun::Heun, lcm::Lcm, plms::Plms, unipc::UniPc,
};
use crate::LoadError;
use fresco_api::{ApiError, ErrorCode, Params, Sampler, SigmaSchedule};

/// What a request says about its run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The user's steps, at least 1.
    pub steps: usize,
    /// How noise levels lie.
    pub scheduler: SigmaSchedule,
    /// How much fresh noise DDIM adds, 0 to 1.
    pub eta: f32,
    /// Tokens of the picture, by which some flow models shift their noise levels.
    pub tokens: usize,
}

impl Settings {
    /// A run of these parameters over latents of `height` x `width`, in tokens of 2 x 2.
    pub fn of(params: &Params, height: usize, width: usize) -> Self {
        Self {
            steps: params.steps as usize,
            scheduler: params.scheduler,
            eta: params.eta,
            tokens: (height / 2) * (width / 2),
        }
    }

    /// A run of `steps` that leaves everything else to the folder.
    pub fn steps(steps: usize) -> Self {
        Self { steps, scheduler: SigmaSchedule::Default, eta: 0.0, tokens: 0 }
    }
}

/// Why there is no schedule.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The folder's configuration asks for something that is not built.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// The sampler cannot run this model.
    #[error("{0} cannot run a flow model")]
    Sampler(Sampler),
    /// The sampler's noise levels cannot lie this way for this model.
    #[error("{sampler} has no {scheduler} noise levels for this model")]
    Scheduler {
        /// The sampler.
        sampler: Sampler,
        /// How they were to lie.
        scheduler: SigmaSchedule,
    },
    /// The sampler takes fewer steps.
    #[error("{sampler} takes 1 to {most} steps")]
    Steps {
        /// The sampler.
        sampler: Sampler,
        /// The most that it takes.
        most: usize,
    },
}

impl From<ScheduleError> for ApiError {
    fn from(error: ScheduleError) -> Self {
        let message = error.to_string();
        match error {
            ScheduleError::Config(_) => ApiError::new(ErrorCode::BadModel, message).at("sampler"),
            ScheduleError::Sampler(_) => ApiError::field("sampler", message),
            ScheduleError::Scheduler { .. } => ApiError::field("scheduler", message),
            ScheduleError::Steps { .. } => ApiError::field("steps", message),
        }
    }
}

/// The schedule of a sampler.
///
/// # Errors
/// The folder's configuration asks for something that is not built, or the settings for something that
/// the sampler does not have.
pub fn build(
    sampler: Sampler,
    config: &ScheduleConfig,
    settings: &Settings,
) -> Result<Box<dyn Schedule + Send>, ScheduleError> {
    config.check()?;
    let scheduler = settings.scheduler;
    let unable = ScheduleError::Scheduler { sampler, scheduler };
    if !sampler.takes(scheduler) {
        return Err(unable);
    }
    if !config.supports(sampler) {
        return Err(ScheduleError::Sampler(sampler));
    }
    let most = if sampler == Sampler::Lcm { config.original_inference_steps } else { config.num_train_timesteps };
    let steps = settings.steps;
    if !(1..=most).contains(&steps) {
        return Err(ScheduleError::Steps { sampler, most });
    }
    let config = &config.with(scheduler);
    if config.is_flow() && !sampler.takes_on_flow(scheduler) {
        return Err(unable);
    }
    Ok(match sampler {
        Sampler::Euler if config.is_flow() => Box::new(FlowEuler::new(config, steps, settings.tokens)),
        Sampler::Euler => Box::new(Euler::new(config, steps)),
        Sampler::EulerAncestral => Box::new(Ancestral::new(config, steps)),
        Sampler::Heun => Box::new(Heun::new(config, steps)),
        Sampler::Dpmpp2m => Box::new(DpmMultistep::new(config, settings, false)),
        Sampler::Dpmpp2mSde => Box::new(DpmMultistep::new(config, settings, true)),
        Sampler::DpmppSde => Box::new(DpmSde::new(config, steps)),
        Sampler::Ddim => Box::new(Ddim::new(config, steps, settings.eta)),
        Sampler::Plms => Box::new(Plms::new(config, steps)),
        Sampler::UniPc => Box::new(UniPc::new(config, settings)),
        Sampler::Lcm => Box::new(Lcm::new(config, steps)),
    })
}

impl ScheduleConfig {
    /// The configuration with noise levels as a request wants them; betas and prediction stay.
    fn with(&self, scheduler: SigmaSchedule) -> Self {
        let mut config = self.clone();
        if scheduler.is_default() {
            return config;
        }
        config.use_karras_sigmas = scheduler == SigmaSchedule::Karras;
        config.use_exponential_sigmas = scheduler == SigmaSchedule::Exponential;
        config.use_beta_sigmas = scheduler == SigmaSchedule::Beta;
        config.sgm_uniform = scheduler == SigmaSchedule::SgmUniform;
        config.timestep_spacing = match scheduler {
            SigmaSchedule::Linspace => Some(Spacing::Linspace),
            SigmaSchedule::Leading => Some(Spacing::Leading),
            SigmaSchedule::Trailing => Some(Spacing::Trailing),
            _ => config.timestep_spacing,
        };
        config
    }
}

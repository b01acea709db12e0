//! The choices in a scheduler's configuration that have names.

use fresco_api::{Sampler, SamplerName};
use serde::Deserialize;

/// The scheduler that wrote a configuration, as far as it changes what the configuration means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Class {
    /// diffusers' `DPMSolverMultistepScheduler`, which runs an ODE or an SDE.
    DpmMultistep,
    /// `PNDMScheduler`.
    Pndm,
    /// One of a flow, and the nearest sampler there is.
    FlowMatch(Sampler),
    /// Any other, and the nearest sampler there is; Euler's where nothing is said.
    Other(Sampler),
    /// One whose noise levels are of another kind.
    OtherFamily,
}

impl Default for Class {
    fn default() -> Self {
        Class::Other(Sampler::Euler)
    }
}

impl From<String> for Class {
    fn from(name: String) -> Self {
        let sampler = match name.as_str() {
            "DPMSolverMultistepScheduler" => return Class::DpmMultistep,
            "PNDMScheduler" => return Class::Pndm,
            "DEISMultistepScheduler" | "DPMSolverSinglestepScheduler" => Sampler::Dpmpp2m,
            "KDPM2AncestralDiscreteScheduler" | "DDPMScheduler" => Sampler::EulerAncestral,
            "KDPM2DiscreteScheduler" => Sampler::Heun,
            "TCDScheduler" => Sampler::Lcm,
            name => name.parse().map_or(Sampler::Euler, |name: SamplerName| name.sampler),
        };
        if name.starts_with("EDM") || name.starts_with("Cosine") {
            Class::OtherFamily
        } else if name.starts_with("FlowMatch") {
            Class::FlowMatch(sampler)
        } else {
            Class::Other(sampler)
        }
    }
}

/// What a multistep solver solves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// The ODE of the picture (Lu et al. 2022, DPM-Solver++).
    #[serde(rename = "dpmsolver++")]
    DpmsolverPlusPlus,
    /// The SDE of the picture.
    #[serde(rename = "sde-dpmsolver++")]
    SdeDpmsolverPlusPlus,
    /// DEIS's name for the same ODE.
    #[serde(rename = "deis")]
    Deis,
    /// The ODE of the noise; not built.
    #[serde(rename = "dpmsolver")]
    Dpmsolver,
    /// The SDE of the noise; not built.
    #[serde(rename = "sde-dpmsolver")]
    SdeDpmsolver,
}

/// How sigmas lie between training timesteps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// On a line.
    #[default]
    Linear,
    /// Their logarithms on a line; not built.
    LogLinear,
}

/// What the denoiser is told of the noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Timesteps of the training.
    #[default]
    Discrete,
    /// The noise itself; not built.
    Continuous,
}

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
    /// The velocity of a straight path from picture to noise (Liu et al. 2022, rectified flow).
    #[serde(rename = "flow_prediction")]
    Flow,
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

/// The sigma behind the last step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalSigma {
    /// None.
    #[default]
    Zero,
    /// The least of the training.
    SigmaMin,
}

/// Which formula a multistep solver has for its second order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SolverType {
    /// DPM-Solver++'s own.
    Midpoint,
    /// DPM-Solver++ with the trapezoidal rule.
    Heun,
    /// UniPC with `B(h) = h`.
    Bh1,
    /// UniPC with `B(h) = exp(h) - 1`.
    Bh2,
    /// DEIS's; diffusers reads it as the solver's own.
    Logrho,
}

/// How a flow's noise levels move with the picture's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeShift {
    /// By the exponential of the size's measure.
    #[default]
    Exponential,
    /// By the measure itself.
    Linear,
}

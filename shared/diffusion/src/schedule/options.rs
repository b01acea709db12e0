//! The choices in a scheduler's configuration that have names.

use serde::Deserialize;

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

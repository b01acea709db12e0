//! How noise levels lie between the most and the least, by name.

use crate::sampler::{plain, shortened};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// How the noise levels of a run lie between the largest and the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SigmaSchedule {
    /// As the model's folder says.
    #[default]
    Default,
    /// Even in the seventh root of sigma (Karras et al. 2022, equation 5).
    Karras,
    /// Even in the logarithm of sigma.
    Exponential,
    /// Even in training time with the last point left out, as Stability's own code has it.
    SgmUniform,
    /// Quantiles of a beta distribution (Lee et al. 2024).
    Beta,
    /// Even timesteps from the last to the first (Lin et al. 2023, table 2).
    Linspace,
    /// Multiples counted from the first timestep; the last is missed.
    Leading,
    /// Multiples counted from the last timestep; the first is missed.
    Trailing,
}

impl SigmaSchedule {
    /// Every one there is, in the order that a list shows.
    pub const ALL: &[SigmaSchedule] = &[
        SigmaSchedule::Default,
        SigmaSchedule::Karras,
        SigmaSchedule::Exponential,
        SigmaSchedule::SgmUniform,
        SigmaSchedule::Beta,
        SigmaSchedule::Linspace,
        SigmaSchedule::Leading,
        SigmaSchedule::Trailing,
    ];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            SigmaSchedule::Default => "default",
            SigmaSchedule::Karras => "karras",
            SigmaSchedule::Exponential => "exponential",
            SigmaSchedule::SgmUniform => "sgm_uniform",
            SigmaSchedule::Beta => "beta",
            SigmaSchedule::Linspace => "linspace",
            SigmaSchedule::Leading => "leading",
            SigmaSchedule::Trailing => "trailing",
        }
    }

    /// The name for people.
    pub fn label(self) -> &'static str {
        match self {
            SigmaSchedule::Default => "Automatic",
            SigmaSchedule::Karras => "Karras",
            SigmaSchedule::Exponential => "Exponential",
            SigmaSchedule::SgmUniform => "SGM Uniform",
            SigmaSchedule::Beta => "Beta",
            SigmaSchedule::Linspace => "Linspace",
            SigmaSchedule::Leading => "Leading",
            SigmaSchedule::Trailing => "Trailing",
        }
    }

    /// Other names that are read, without case, spaces and underscores.
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            SigmaSchedule::Default => &["auto", "discrete"],
            SigmaSchedule::Linspace => &["normal", "uniform"],
            SigmaSchedule::Leading => &["ddim", "ddimuniform"],
            SigmaSchedule::Trailing => &["simple"],
            _ => &[],
        }
    }

    /// Whether nothing is asked for.
    pub fn is_default(&self) -> bool {
        *self == SigmaSchedule::Default
    }
}

impl fmt::Display for SigmaSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SigmaSchedule {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let wanted = plain(name);
        let called = |schedule: &SigmaSchedule| {
            plain(schedule.name()) == wanted
                || plain(schedule.label()) == wanted
                || schedule.aliases().contains(&wanted.as_str())
        };
        SigmaSchedule::ALL.iter().copied().find(called).ok_or_else(|| {
            let known = SigmaSchedule::ALL.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ");
            format!("Unknown scheduler {:?}; known: {known}", shortened(name))
        })
    }
}

impl Serialize for SigmaSchedule {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for SigmaSchedule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

//! The samplers by name.

use serde::{Deserialize, Deserializer, Serialize};
use std::{fmt, str::FromStr};

/// How the denoising loop integrates from noise to picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// Euler's method on the probability-flow ODE (Karras et al. 2022, algorithm 2 without churn).
    #[default]
    Euler,
}

impl Sampler {
    /// Every sampler there is, in the order that a list shows.
    pub const ALL: &[Sampler] = &[Sampler::Euler];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Sampler::Euler => "euler",
        }
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Sampler {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Sampler::ALL.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ");
        Sampler::ALL.iter().copied().find(|sampler| sampler.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            // The name comes from a client and is not trusted to be short.
            let name: String = name.chars().take(40).collect();
            format!("Unknown sampler {name:?}; known: {known}")
        })
    }
}

impl<'de> Deserialize<'de> for Sampler {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

//! Which random numbers a seed stands for, by name.

use crate::sampler::shortened;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Which random numbers a seed stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rng {
    /// Those of PyTorch's CPU generator, as diffusers with a CPU generator and ComfyUI have them.
    #[default]
    Cpu,
    /// Those of PyTorch's CUDA generator, as AUTOMATIC1111 has them; computed anywhere.
    Gpu,
}

impl Rng {
    /// Every one there is.
    pub const ALL: &[Rng] = &[Rng::Cpu, Rng::Gpu];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Rng::Cpu => "cpu",
            Rng::Gpu => "gpu",
        }
    }

    /// Whether nothing is asked for.
    pub fn is_default(&self) -> bool {
        *self == Rng::default()
    }
}

impl fmt::Display for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rng {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Rng::ALL.iter().copied().find(|rng| rng.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| format!("Unknown rng {:?}; known: cpu, gpu", shortened(name)))
    }
}

impl Serialize for Rng {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Rng {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

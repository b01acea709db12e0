//! The samplers by name, with the names that other programs give them.

use crate::SigmaSchedule;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// How the denoising loop integrates from noise to picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sampler {
    /// Euler's method on the probability-flow ODE (Karras et al. 2022, algorithm 2 without churn); for
    /// a flow model Euler's method on its ODE (Esser et al. 2024).
    #[default]
    Euler,
    /// Euler's method with fresh noise after each step (Crowson's k-diffusion).
    EulerAncestral,
    /// Heun's method, two evaluations a step (Karras et al. 2022, algorithm 1 without churn).
    Heun,
    /// DPM-Solver++ of second order over two steps (Lu et al. 2022).
    Dpmpp2m,
    /// The same on the SDE, with fresh noise each step.
    Dpmpp2mSde,
    /// DPM-Solver++ on the SDE with a midpoint, two evaluations a step.
    DpmppSde,
    /// Denoising diffusion implicit models (Song et al. 2020).
    Ddim,
    /// Pseudo linear multi-steps (Liu et al. 2022).
    Plms,
    /// Unified predictor-corrector of second order (Zhao et al. 2023).
    UniPc,
    /// Multistep sampling of latent consistency models (Luo et al. 2023).
    Lcm,
}

impl Sampler {
    /// Every sampler there is, in the order that a list shows.
    pub const ALL: &[Sampler] = &[
        Sampler::Euler,
        Sampler::EulerAncestral,
        Sampler::Heun,
        Sampler::Dpmpp2m,
        Sampler::Dpmpp2mSde,
        Sampler::DpmppSde,
        Sampler::Ddim,
        Sampler::Plms,
        Sampler::UniPc,
        Sampler::Lcm,
    ];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Sampler::Euler => "euler",
            Sampler::EulerAncestral => "euler_a",
            Sampler::Heun => "heun",
            Sampler::Dpmpp2m => "dpmpp_2m",
            Sampler::Dpmpp2mSde => "dpmpp_2m_sde",
            Sampler::DpmppSde => "dpmpp_sde",
            Sampler::Ddim => "ddim",
            Sampler::Plms => "plms",
            Sampler::UniPc => "unipc",
            Sampler::Lcm => "lcm",
        }
    }

    /// The name for people, as AUTOMATIC1111 spells it.
    pub fn label(self) -> &'static str {
        match self {
            Sampler::Euler => "Euler",
            Sampler::EulerAncestral => "Euler a",
            Sampler::Heun => "Heun",
            Sampler::Dpmpp2m => "DPM++ 2M",
            Sampler::Dpmpp2mSde => "DPM++ 2M SDE",
            Sampler::DpmppSde => "DPM++ SDE",
            Sampler::Ddim => "DDIM",
            Sampler::Plms => "PLMS",
            Sampler::UniPc => "UniPC",
            Sampler::Lcm => "LCM",
        }
    }

    /// Other names that are read, beside spellings of the name and the label; plain as [`plain`] makes them.
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            Sampler::Euler => &["eulerdiscrete", "flowmatcheuler", "flowmatcheulerdiscrete"],
            Sampler::EulerAncestral => &["eulerancestral", "eulerancestraldiscrete"],
            Sampler::Heun => &["heundiscrete"],
            Sampler::Dpmpp2m => &["dpmsolvermultistep", "dpmsolverpp", "dpmpp"],
            Sampler::Dpmpp2mSde => &["dpmsolversdemultistep"],
            Sampler::DpmppSde => &["dpmsolversde"],
            Sampler::Ddim => &[],
            Sampler::Plms => &["pndm"],
            Sampler::UniPc => &["unipcmultistep", "unipcbh2"],
            Sampler::Lcm => &[],
        }
    }

    /// Whether its noise levels can lie this way: the older samplers know training timesteps alone.
    pub fn takes(self, schedule: SigmaSchedule) -> bool {
        let by_timesteps = matches!(self, Sampler::Ddim | Sampler::Plms | Sampler::Lcm);
        match schedule {
            SigmaSchedule::Default => true,
            SigmaSchedule::Linspace | SigmaSchedule::Leading | SigmaSchedule::Trailing => self != Sampler::Lcm,
            _ => !by_timesteps,
        }
    }

    /// The same for a model that predicts a flow, which has no timesteps to spread; the multistep solvers have one
    /// way only.
    pub fn takes_on_flow(self, schedule: SigmaSchedule) -> bool {
        match schedule {
            SigmaSchedule::Default => true,
            SigmaSchedule::Karras | SigmaSchedule::Exponential | SigmaSchedule::Beta | SigmaSchedule::SgmUniform => {
                self == Sampler::Euler
            }
            SigmaSchedule::Linspace | SigmaSchedule::Leading | SigmaSchedule::Trailing => false,
        }
    }

    fn plainly(wanted: &str) -> Option<Self> {
        let called = |sampler: &Sampler| {
            [sampler.name(), sampler.label()].into_iter().any(|name| plain(name) == wanted)
                || sampler.aliases().contains(&wanted)
        };
        Sampler::ALL.iter().copied().find(called)
    }
}

/// A name reduced to what tells names apart: `k_dpm++_2m` and `DPM++ 2M` are both `dpmpp2m`.
pub(crate) fn plain(name: &str) -> String {
    // The name comes from a client and is not trusted to be short; none that is known is this long.
    let lower: String = name.chars().take(80).flat_map(char::to_lowercase).collect();
    let lower = lower.trim();
    let lower = lower.strip_prefix("k_").or_else(|| lower.strip_prefix("sample_")).unwrap_or(lower);
    let letters: String = lower.replace('+', "p").chars().filter(char::is_ascii_alphanumeric).collect();
    letters.strip_suffix("scheduler").map(str::to_owned).unwrap_or(letters)
}

/// The start of a name from a client, for an error message.
pub(crate) fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

/// A sampler as a client names it, which may say how noise levels lie: `DPM++ 2M Karras`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplerName {
    /// The sampler.
    pub sampler: Sampler,
    /// How noise levels lie, where the name says it.
    pub scheduler: Option<SigmaSchedule>,
}

impl From<Sampler> for SamplerName {
    fn from(sampler: Sampler) -> Self {
        Self { sampler, scheduler: None }
    }
}

impl fmt::Display for SamplerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheduler {
            None => self.sampler.fmt(f),
            Some(scheduler) => write!(f, "{} {scheduler}", self.sampler),
        }
    }
}

impl FromStr for SamplerName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let wanted = plain(name);
        if let Some(sampler) = Sampler::plainly(&wanted) {
            return Ok(sampler.into());
        }
        let split = |schedule: &SigmaSchedule| {
            let sampler = wanted.strip_suffix(plain(schedule.name()).as_str()).and_then(Sampler::plainly)?;
            Some(Self { sampler, scheduler: Some(*schedule) })
        };
        SigmaSchedule::ALL.iter().find_map(split).ok_or_else(|| {
            let known = Sampler::ALL.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ");
            format!("Unknown sampler {:?}; known: {known}", shortened(name))
        })
    }
}

impl Serialize for SamplerName {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SamplerName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Sampler {
    type Err = String;

    /// A sampler alone; a name that says more is a [`SamplerName`].
    fn from_str(name: &str) -> Result<Self, String> {
        let SamplerName { sampler, scheduler } = name.parse()?;
        match scheduler {
            None => Ok(sampler),
            Some(scheduler) => Err(format!("{:?} is {sampler} with the scheduler {scheduler}", shortened(name))),
        }
    }
}

impl Serialize for Sampler {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Sampler {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;

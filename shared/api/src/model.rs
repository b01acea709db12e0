//! Models as the catalogue lists them.

use crate::{Sampler, limits};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of a catalogue entry, such as `fresco-tiny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(pub String);

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ModelId {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// What a model takes and what it does when a request leaves something out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// The name to put into a request.
    pub id: ModelId,
    /// The name for people.
    pub name: String,
    /// One honest sentence about it.
    pub description: String,
    /// A small model that shows the product works; not made for real pictures.
    pub demo: bool,
    /// Pixels a latent position stands for; width and height are multiples of it.
    pub latent_factor: u32,
    /// Smallest side in pixels.
    pub min_side: u32,
    /// Largest side in pixels.
    pub max_side: u32,
    /// Side used when the request has none, in pixels.
    pub default_side: u32,
    /// Steps used when the request has none.
    pub default_steps: u32,
    /// Guidance scale used when the request has none.
    pub default_guidance: f32,
    /// Sampler used when the request has none: the one that the model's folder was published with.
    #[serde(default)]
    pub default_sampler: Sampler,
    /// The samplers that can run it.
    #[serde(default = "every_sampler")]
    pub samplers: Vec<Sampler>,
    /// Whether it predicts a flow: its noise levels run from 0 to 1 and lie in fewer ways.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flow: bool,
    /// Whether it was made for inpainting, and needs a picture and a mask.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_mask: bool,
    /// Whether it cannot take over a picture's style.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_style: bool,
    /// All of its files, in bytes.
    pub bytes: u64,
}

fn every_sampler() -> Vec<Sampler> {
    Sampler::ALL.to_vec()
}

impl ModelInfo {
    /// Whether the numbers can be used: an entry may come from a file of anybody's.
    ///
    /// # Errors
    /// The field at fault, in its wire spelling, and why.
    pub fn check(&self) -> Result<(), String> {
        let sides = self.min_side >= 1 && self.min_side <= self.default_side && self.default_side <= self.max_side;
        if !sides || self.max_side > limits::MAX_SIDE {
            return Err(format!("minSide, defaultSide and maxSide must rise and lie in 1 to {}", limits::MAX_SIDE));
        }
        if self.latent_factor == 0 || !self.default_side.is_multiple_of(self.latent_factor) {
            return Err("defaultSide must be a multiple of latentFactor".to_owned());
        }
        if !(limits::MIN_STEPS..=limits::MAX_STEPS).contains(&self.default_steps) {
            return Err(format!("defaultSteps must be {} to {}", limits::MIN_STEPS, limits::MAX_STEPS));
        }
        if !(0.0..=limits::MAX_GUIDANCE).contains(&self.default_guidance) {
            return Err(format!("defaultGuidance must be 0 to {}", limits::MAX_GUIDANCE));
        }
        Ok(())
    }
}

//! Models as the catalogue lists them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of a catalogue entry, such as `fresco-tiny`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// All of its files, in bytes.
    pub bytes: u64,
}

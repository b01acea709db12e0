//! Families of models: what one does unlike the others, as a row of data and two functions.
//!
//! A new family is a file here and a row in [`FAMILIES`]; loading and the denoising loop know none of them.

mod denoiser;
mod parts;
mod sd;
mod sd3;
mod sdxl;
mod texts;

use crate::{LoadError, model::Conditioning};
use fresco_kernels::Kernels;

pub use denoiser::{Denoiser, DenoiserClass, DenoiserConfig};
pub use parts::{Component, Loading, NO_LORAS, Part, Parts, Shelves};
pub use texts::{Asked, Slot, TextClass, TextConfig, Texts};

/// The families by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FamilyName {
    /// Stable Diffusion 1 and 2, and SD-Turbo.
    #[default]
    StableDiffusion,
    /// Stable Diffusion XL, and SDXL-Turbo.
    StableDiffusionXl,
    /// Stable Diffusion 3 and 3.5.
    StableDiffusion3,
}

/// What a family does unlike the others.
pub struct Family {
    /// Its name.
    pub name: FamilyName,
    /// What its pipelines are called in `model_index.json`, without mode and `Pipeline`.
    pub class: &'static str,
    /// Its text encoders.
    pub texts: &'static [Slot],
    /// Its denoiser.
    pub denoiser: DenoiserClass,
    /// Whether the widths of a model's parts fit each other.
    pub check: fn(&Parts) -> Result<(), LoadError>,
    /// The prompts as the denoiser takes them; nothing where an encoder is missing that the family needs.
    pub condition: fn(&Texts, &dyn Kernels, &Asked<'_>) -> Option<Conditioning>,
}

/// Every family that is built.
const FAMILIES: [&Family; 3] = [&sd::FAMILY, &sdxl::FAMILY, &sd3::FAMILY];

/// The modes in which pipelines are published: the parts are the same.
const MODES: [&str; 3] = ["", "Img2Img", "Inpaint"];

/// The family of a pipeline's class.
pub fn of_class(class: &str) -> Option<&'static Family> {
    let is = |family: &Family| MODES.iter().any(|mode| class == format!("{}{mode}Pipeline", family.class));
    FAMILIES.into_iter().find(|family| is(family))
}

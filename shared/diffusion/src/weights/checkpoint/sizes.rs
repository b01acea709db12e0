//! What the shapes of a component's tensors say.

use super::{super::Listing, Family, kind::Part};
use crate::LoadError;
use std::collections::BTreeMap;

impl Listing {
    /// One side of a tensor; 0 where it is not there.
    pub(super) fn side(&self, name: &str, axis: usize) -> usize {
        self.shape(name).and_then(|shape| shape.get(axis)).copied().unwrap_or_default()
    }

    /// How many numbers, counted from 0 without gaps, follow `prefix` in its tensors' names.
    pub(super) fn count(&self, prefix: &str) -> usize {
        let there = |number: &usize| {
            let start = format!("{prefix}{number}.");
            self.tensors.range(start.clone()..).next().is_some_and(|(name, _)| name.starts_with(&start))
        };
        (0..).take_while(there).count()
    }

    /// Whether a tensor's name begins so.
    pub(super) fn any(&self, prefix: &str) -> bool {
        self.tensors.range(prefix.to_owned()..).next().is_some_and(|(name, _)| name.starts_with(prefix))
    }
}

/// The width of a CLIP text encoder.
pub fn text_width(listing: &Listing) -> Option<usize> {
    listing.shape("text_model.final_layer_norm.weight")?.first().copied()
}

/// Whether there is anything that predicts.
pub fn has_denoiser(components: &BTreeMap<Part, Listing>) -> bool {
    components.contains_key(&Part::Unet) || components.contains_key(&Part::Transformer)
}

/// The family, by the denoiser.
///
/// The UNets differ in two places: XL embeds sizes as well, and 2 has linear layers around its
/// transformers where 1 has convolutions.
pub fn family(file: &str, components: &BTreeMap<Part, Listing>) -> Result<Family, LoadError> {
    if components.contains_key(&Part::Transformer) {
        return Ok(Family::Sd3);
    }
    let Some(unet) = components.get(&Part::Unet) else {
        let names: Vec<&str> = components.keys().map(|part| part.folder()).collect();
        let what = format!("has no denoiser, only {}: name the denoiser's file too", names.join(", "));
        return Err(LoadError::bad(file, what));
    };
    let enter = "mid_block.attentions.0.proj_in.weight";
    if unet.any("add_embedding.") {
        // The refiner embeds five numbers instead of six and has one text encoder.
        return match unet.side("add_embedding.linear_1.weight", 1) {
            2560 => Err(LoadError::unsupported(file, "the refiner of Stable Diffusion XL")),
            _ => Ok(Family::Sdxl),
        };
    }
    match unet.shape(enter).map(<[usize]>::len) {
        Some(2) => Ok(Family::Sd2),
        Some(_) => Ok(Family::Sd1),
        None => Err(LoadError::unsupported(file, "a UNet without attention in its middle")),
    }
}

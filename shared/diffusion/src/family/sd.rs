//! Stable Diffusion 1 and 2 (Rombach et al. 2022): one text encoder, its last states, a UNet.

use super::{Asked, DenoiserClass, DenoiserConfig, Family, FamilyName, Parts, Slot, TextClass, Texts};
use crate::{
    LoadError,
    model::{Conditioning, clip::Layer},
};
use fresco_kernels::Kernels;

pub const FAMILY: Family = Family {
    name: FamilyName::StableDiffusion,
    class: "StableDiffusion",
    texts: &[Slot { encoder: "text_encoder", tokenizer: "tokenizer", class: TextClass::Clip, optional: false }],
    denoiser: DenoiserClass::UNet,
    check,
    condition,
};

fn check(parts: &Parts) -> Result<(), LoadError> {
    let DenoiserConfig::UNet(unet) = &parts.denoiser else { return Ok(()) };
    if unet.added().is_some() {
        return Err(LoadError::unsupported(&parts.denoiser.file(), "addition_embed_type with one text encoder"));
    }
    parts.check_context(parts.text_width())
}

fn condition(texts: &Texts, k: &dyn Kernels, asked: &Asked<'_>) -> Option<Conditioning> {
    let said = texts.clips(k, &asked.prompts(), Layer::LAST.clip_skip(asked.clip_skip)).pop()?;
    Some(Conditioning::of(said.states))
}

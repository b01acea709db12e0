//! Stable Diffusion XL (Podell et al. 2023): two text encoders side by side, and a UNet that is also told the
//! second one's pooled output and the picture's size.

use super::{Asked, DenoiserClass, DenoiserConfig, Family, FamilyName, Parts, Slot, TextClass, TextConfig, Texts};
use crate::{
    LoadError,
    model::{Conditioning, clip::Layer},
};
use burn::tensor::Tensor;
use fresco_kernels::Kernels;

pub const FAMILY: Family = Family {
    name: FamilyName::StableDiffusionXl,
    class: "StableDiffusionXL",
    texts: &[
        Slot { encoder: "text_encoder", tokenizer: "tokenizer", class: TextClass::Clip, optional: false },
        Slot { encoder: "text_encoder_2", tokenizer: "tokenizer_2", class: TextClass::ProjectedClip, optional: false },
    ],
    denoiser: DenoiserClass::UNet,
    check,
    condition,
};

fn check(parts: &Parts) -> Result<(), LoadError> {
    let DenoiserConfig::UNet(unet) = &parts.denoiser else { return Ok(()) };
    let file = parts.denoiser.file();
    let Some((pooled, _)) = unet.added() else {
        return Err(LoadError::unsupported(&file, "no addition_embed_type with two text encoders"));
    };
    let given = parts.text(1).and_then(TextConfig::projected).unwrap_or_default();
    if pooled != given {
        let message = format!("takes {pooled} pooled values, the second text encoder gives {given}");
        return Err(LoadError::bad(&file, message));
    }
    parts.check_context(parts.text_width())
}

fn condition(texts: &Texts, k: &dyn Kernels, asked: &Asked<'_>) -> Option<Conditioning> {
    // No negative prompt is told as zeros, not as the states of an empty text.
    let blank = texts.zeros_for_empty() && asked.negative == Some("");
    let prompts = if blank { Asked { negative: None, ..*asked }.prompts() } else { asked.prompts() };
    let [small, large] = texts.clips(k, &prompts, Layer::PENULTIMATE.clip_skip(asked.clip_skip)).try_into().ok()?;
    let states = Tensor::cat(vec![small.states, large.states], 2);
    let (states, pooled) = match blank {
        true => (behind_zeros(states), behind_zeros(large.pooled)),
        false => (states, large.pooled),
    };
    Some(Conditioning { states, pooled: Some(pooled), sizes: asked.sizes() })
}

/// `x` with as many zeros before it.
fn behind_zeros<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::cat(vec![x.zeros_like(), x], 0)
}

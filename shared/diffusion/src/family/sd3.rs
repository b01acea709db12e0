//! Stable Diffusion 3 and 3.5 (Esser et al. 2024): two CLIP encoders side by side, T5 behind them where it is
//! there, and an MMDiT.

use super::{Asked, DenoiserClass, DenoiserConfig, Family, FamilyName, Parts, Slot, TextClass, TextConfig, Texts};
use crate::{
    LoadError,
    model::{Conditioning, clip::Layer},
};
use burn::tensor::Tensor;
use fresco_kernels::Kernels;

/// T5's tokens, or as many zeros in its place.
const T5_TOKENS: usize = 256;

pub const FAMILY: Family = Family {
    name: FamilyName::StableDiffusion3,
    class: "StableDiffusion3",
    texts: &[
        Slot { encoder: "text_encoder", tokenizer: "tokenizer", class: TextClass::ProjectedClip, optional: false },
        Slot { encoder: "text_encoder_2", tokenizer: "tokenizer_2", class: TextClass::ProjectedClip, optional: false },
        Slot { encoder: "text_encoder_3", tokenizer: "tokenizer_3", class: TextClass::T5, optional: true },
    ],
    denoiser: DenoiserClass::Mmdit,
    check,
    condition,
};

fn check(parts: &Parts) -> Result<(), LoadError> {
    let DenoiserConfig::Mmdit(mmdit) = &parts.denoiser else { return Ok(()) };
    let pooled: usize = [0, 1].into_iter().filter_map(|slot| parts.text(slot)?.projected()).sum();
    if pooled != mmdit.pooled_projection_dim {
        let asked = mmdit.pooled_projection_dim;
        let message = format!("pooled_projection_dim is {asked}, the text encoders give {pooled}");
        return Err(LoadError::bad(&parts.denoiser.file(), message));
    }
    let (width, most) = (parts.text_width(), mmdit.joint_attention_dim);
    if width > most {
        let message = format!("joint_attention_dim is {most}, the text encoders give {width}");
        return Err(LoadError::bad(&parts.denoiser.file(), message));
    }
    match parts.text(2) {
        Some(TextConfig::T5(t5)) if t5.d_model != most => {
            let message = format!("joint_attention_dim is {most}, T5 gives {}", t5.d_model);
            Err(LoadError::bad(&parts.denoiser.file(), message))
        }
        _ => Ok(()),
    }
}

fn condition(texts: &Texts, k: &dyn Kernels, asked: &Asked<'_>) -> Option<Conditioning> {
    let prompts = asked.prompts();
    let [small, large] = texts.clips(k, &prompts, Layer::PENULTIMATE.clip_skip(asked.clip_skip)).try_into().ok()?;
    let states = widened(Tensor::cat(vec![small.states, large.states], 2), texts.context());
    let behind = match texts.t5(&prompts, T5_TOKENS) {
        Some(states) => states,
        None => Tensor::zeros([prompts.len(), T5_TOKENS, texts.context()], &states.device()),
    };
    let pooled = Tensor::cat(vec![small.pooled, large.pooled], 1);
    let states = Tensor::cat(vec![states, behind], 1);
    Some(Conditioning { states, pooled: Some(pooled), sizes: Vec::new() })
}

/// `x` `[n, tokens, c]` with zeros behind its channels up to `width`.
fn widened(x: Tensor<3>, width: usize) -> Tensor<3> {
    let [n, tokens, c] = x.dims();
    match width.checked_sub(c) {
        None | Some(0) => x,
        Some(more) => Tensor::cat(vec![x.clone(), Tensor::zeros([n, tokens, more], &x.device())], 2),
    }
}

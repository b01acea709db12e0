//! CLIP's text encoder in `OpenCLIP`'s names, and in transformers' names with fused attention.

use super::{Target, by_table, split_number};

const LAYER: &[(&str, &str)] = &[
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
];

/// `OpenCLIP`, whose projection multiplies from the other side.
pub fn from_open(name: &str) -> Option<Target> {
    let whole = |name: &str| Some(Target::Whole(format!("text_model.{name}")));
    match name {
        "text_projection" => return Some(Target::Transposed("text_projection.weight".to_owned())),
        "positional_embedding" => return whole("embeddings.position_embedding.weight"),
        "token_embedding.weight" => return whole("embeddings.token_embedding.weight"),
        _ => {}
    }
    if let Some(rest) = name.strip_prefix("ln_final.") {
        return whole(&format!("final_layer_norm.{rest}"));
    }
    let (layer, rest) = split_number(name.strip_prefix("transformer.resblocks.")?)?;
    let at = format!("text_model.encoder.layers.{layer}.");
    match rest.strip_prefix("attn.in_proj_") {
        Some(kind) => Some(fused(&format!("{at}self_attn"), kind)),
        None => Some(Target::Whole(format!("{at}{}", by_table(rest, LAYER)?))),
    }
}

/// transformers' names, as stable-diffusion.cpp writes them.
pub fn from_fused(name: &str) -> Option<Target> {
    let (at, kind) = match name.rsplit_once(".in_proj_") {
        Some(split) => split,
        None => match name.rsplit_once(".in_proj.") {
            Some(split) => split,
            None => return Some(Target::Whole(name.to_owned())),
        },
    };
    Some(fused(at, kind))
}

/// `kind` is `weight` or `bias`.
fn fused(at: &str, kind: &str) -> Target {
    Target::Thirds(["q_proj", "k_proj", "v_proj"].map(|part| format!("{at}.{part}.{kind}")))
}

//! The transformer of Stable Diffusion 3 (Esser et al. 2024): joint blocks with a picture's and a text's half.

use super::{Target, by_table, split_number};

const OUTSIDE: &[(&str, &str)] = &[
    ("pos_embed", "pos_embed.pos_embed"),
    ("x_embedder.proj", "pos_embed.proj"),
    ("t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"),
    ("y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"),
    ("y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"),
    ("context_embedder", "context_embedder"),
    ("final_layer.linear", "proj_out"),
];

const PICTURE: &[(&str, &str)] = &[
    ("attn.ln_q", "attn.norm_q"),
    ("attn.ln_k", "attn.norm_k"),
    ("attn.proj", "attn.to_out.0"),
    ("attn2.ln_q", "attn2.norm_q"),
    ("attn2.ln_k", "attn2.norm_k"),
    ("attn2.proj", "attn2.to_out.0"),
    ("adaLN_modulation.1", "norm1.linear"),
    ("mlp.fc1", "ff.net.0.proj"),
    ("mlp.fc2", "ff.net.2"),
];

const TEXT: &[(&str, &str)] = &[
    ("attn.ln_q", "attn.norm_added_q"),
    ("attn.ln_k", "attn.norm_added_k"),
    ("attn.proj", "attn.to_add_out"),
    ("adaLN_modulation.1", "norm1_context.linear"),
    ("mlp.fc1", "ff_context.net.0.proj"),
    ("mlp.fc2", "ff_context.net.2"),
];

/// Query, key and value, which are one matrix in the original.
const FUSED: &[(&str, [&str; 3])] = &[
    ("x_block.attn.qkv.", ["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("x_block.attn2.qkv.", ["attn2.to_q", "attn2.to_k", "attn2.to_v"]),
    ("context_block.attn.qkv.", ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
];

/// `blocks` is the number of joint blocks.
///
/// Where a norm has a shift and a scale but no gate, the original stores the shift first, diffusers
/// the scale: at the end, and in the last block's text half.
pub fn modern(name: &str, blocks: usize) -> Option<Target> {
    if let Some(kind) = name.strip_prefix("final_layer.adaLN_modulation.1.") {
        return Some(Target::Swapped(format!("norm_out.linear.{kind}")));
    }
    if let Some(found) = by_table(name, OUTSIDE) {
        return Some(Target::Whole(found));
    }
    let (block, rest) = split_number(name.strip_prefix("joint_blocks.")?)?;
    let at = format!("transformer_blocks.{block}.");
    for (old, parts) in FUSED {
        if let Some(kind) = rest.strip_prefix(old) {
            return Some(Target::Thirds(parts.map(|part| format!("{at}{part}.{kind}"))));
        }
    }
    if let Some(rest) = rest.strip_prefix("x_block.") {
        return Some(Target::Whole(format!("{at}{}", by_table(rest, PICTURE)?)));
    }
    let rest = rest.strip_prefix("context_block.")?;
    let found = format!("{at}{}", by_table(rest, TEXT)?);
    match rest.starts_with("adaLN_modulation") && block + 1 == blocks {
        true => Some(Target::Swapped(found)),
        false => Some(Target::Whole(found)),
    }
}

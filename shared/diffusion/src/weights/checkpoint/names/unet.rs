//! The UNet: numbered input and output blocks become levels with residual blocks and transformers.

use super::{by_table, split_number};

/// What stands outside the levels.
const OUTSIDE: &[(&str, &str)] = &[
    ("input_blocks.0.0", "conv_in"),
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
    ("middle_block.1", "mid_block.attentions.0"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
];

/// The layers of a residual block.
const RESIDUAL: &[(&str, &str)] = &[
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// `layers` residual blocks make a level on the way down, one more on the way up.
pub fn modern(name: &str, layers: usize) -> Option<String> {
    if let Some(found) = by_table(name, OUTSIDE) {
        return Some(found);
    }
    if let Some(rest) = name.strip_prefix("middle_block.") {
        let (place, rest) = split_number(rest)?;
        return Some(format!("mid_block.resnets.{}.{}", place / 2, by_table(rest, RESIDUAL)?));
    }
    let (way, rest) = match name.strip_prefix("input_blocks.") {
        Some(rest) => ("down_blocks", rest),
        None => ("up_blocks", name.strip_prefix("output_blocks.")?),
    };
    let (block, rest) = split_number(rest)?;
    let (place, rest) = split_number(rest)?;
    // The first input block is `conv_in`.
    let block = if way == "down_blocks" { block.checked_sub(1)? } else { block };
    let (level, layer) = (block / (layers + 1), block % (layers + 1));
    if let Some(rest) = rest.strip_prefix("op.") {
        return Some(format!("{way}.{level}.downsamplers.0.conv.{rest}"));
    }
    // It comes third, or second where the level has no transformers.
    if let Some(rest) = rest.strip_prefix("conv.") {
        return Some(format!("{way}.{level}.upsamplers.0.conv.{rest}"));
    }
    match place {
        0 => Some(format!("{way}.{level}.resnets.{layer}.{}", by_table(rest, RESIDUAL)?)),
        1 => Some(format!("{way}.{level}.attentions.{layer}.{rest}")),
        _ => None,
    }
}

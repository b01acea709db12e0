//! The autoencoder: its decoder counts levels from the picture, diffusers from the latents.

use super::{by_table, split_number};

const OUTSIDE: &[(&str, &str)] = &[
    ("conv_in", "conv_in"),
    ("conv_out", "conv_out"),
    ("norm_out", "conv_norm_out"),
    ("mid.block_1", "mid_block.resnets.0"),
    ("mid.block_2", "mid_block.resnets.1"),
    ("mid.attn_1.norm", "mid_block.attentions.0.group_norm"),
    ("mid.attn_1.q", "mid_block.attentions.0.to_q"),
    ("mid.attn_1.k", "mid_block.attentions.0.to_k"),
    ("mid.attn_1.v", "mid_block.attentions.0.to_v"),
    ("mid.attn_1.proj_out", "mid_block.attentions.0.to_out.0"),
];

/// `levels` is the number of resolutions.
pub fn modern(name: &str, levels: usize) -> Option<String> {
    if let Some(found) = by_table(name, &[("quant_conv", "quant_conv"), ("post_quant_conv", "post_quant_conv")]) {
        return Some(found);
    }
    let (side, rest) = name.split_once('.')?;
    if side != "encoder" && side != "decoder" {
        return None;
    }
    let rest = match by_table(rest, OUTSIDE) {
        Some(found) => found,
        None => level(rest, levels)?,
    };
    Some(format!("{side}.{}", rest.replace("nin_shortcut", "conv_shortcut")))
}

fn level(rest: &str, levels: usize) -> Option<String> {
    let (down, rest) = match rest.strip_prefix("down.") {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix("up.")?),
    };
    let (level, rest) = split_number(rest)?;
    let (way, level) = if down { ("down", level) } else { ("up", levels.checked_sub(level + 1)?) };
    let table =
        [("block", "resnets"), ("downsample.conv", "downsamplers.0.conv"), ("upsample.conv", "upsamplers.0.conv")];
    Some(format!("{way}_blocks.{level}.{}", by_table(rest, &table)?))
}

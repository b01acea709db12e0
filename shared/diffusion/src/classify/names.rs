//! The spellings of a vision transformer's tensors, brought to one: transformers 5's.

use crate::{LoadError, weights::Listing};

/// transformers 4's parts of a block (which every published file has) and timm's, and what they are called here.
const PARTS: [(&str, &str); 12] = [
    ("attention.attention.query.", "attention.q_proj."),
    ("attention.attention.key.", "attention.k_proj."),
    ("attention.attention.value.", "attention.v_proj."),
    ("attention.output.dense.", "attention.o_proj."),
    ("intermediate.dense.", "mlp.fc1."),
    ("output.dense.", "mlp.fc2."),
    ("attn.proj.", "attention.o_proj."),
    ("norm1.", "layernorm_before."),
    ("norm2.", "layernorm_after."),
    ("attn.q_proj.", "attention.q_proj."),
    ("attn.k_proj.", "attention.k_proj."),
    ("attn.v_proj.", "attention.v_proj."),
];

/// timm's names outside of the blocks.
const WHOLE: [(&str, &str); 8] = [
    ("cls_token", "vit.embeddings.cls_token"),
    ("pos_embed", "vit.embeddings.position_embeddings"),
    ("patch_embed.proj.weight", "vit.embeddings.patch_embeddings.projection.weight"),
    ("patch_embed.proj.bias", "vit.embeddings.patch_embeddings.projection.bias"),
    ("norm.weight", "vit.layernorm.weight"),
    ("norm.bias", "vit.layernorm.bias"),
    ("head.weight", "classifier.weight"),
    ("head.bias", "classifier.bias"),
];

/// The listing under the names that the network is read by.
///
/// # Errors
/// A fused projection cannot be taken apart.
pub(super) fn unified(listing: Listing) -> Result<Listing, LoadError> {
    let mut unified = Listing { file: listing.file, ..Listing::default() };
    for (name, entry) in listing.tensors {
        if let Some((block, kind)) = name.strip_prefix("blocks.").and_then(|rest| rest.split_once(".attn.qkv.")) {
            for (part, entry) in ["q_proj", "k_proj", "v_proj"].into_iter().zip(entry.thirds()?) {
                unified.tensors.insert(format!("vit.layers.{block}.attention.{part}.{kind}"), entry);
            }
        } else {
            unified.tensors.insert(renamed(&name), entry);
        }
    }
    Ok(unified)
}

fn renamed(name: &str) -> String {
    let block = ["vit.encoder.layer.", "blocks."].iter().find_map(|prefix| name.strip_prefix(prefix)?.split_once('.'));
    if let Some((number, part)) = block {
        let known = PARTS.iter().find_map(|(old, new)| Some(format!("{new}{}", part.strip_prefix(old)?)));
        return format!("vit.layers.{number}.{}", known.unwrap_or_else(|| part.to_owned()));
    }
    let known = WHOLE.iter().find(|(old, _)| *old == name);
    known.map_or(name, |(_, new)| new).to_owned()
}

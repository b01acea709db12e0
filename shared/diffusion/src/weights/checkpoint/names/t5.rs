//! T5's encoder in llama.cpp's names.

use super::{by_table, split_number};

const BLOCK: &[(&str, &str)] = &[
    ("attn_q", "0.SelfAttention.q"),
    ("attn_k", "0.SelfAttention.k"),
    ("attn_v", "0.SelfAttention.v"),
    ("attn_o", "0.SelfAttention.o"),
    ("attn_rel_b", "0.SelfAttention.relative_attention_bias"),
    ("attn_norm", "0.layer_norm"),
    ("ffn_gate", "1.DenseReluDense.wi_0"),
    ("ffn_up", "1.DenseReluDense.wi_1"),
    ("ffn_down", "1.DenseReluDense.wo"),
    ("ffn_norm", "1.layer_norm"),
];

/// The name that transformers' `T5EncoderModel` has.
pub fn modern(name: &str) -> Option<String> {
    let outside = [("token_embd", "shared"), ("enc.output_norm", "encoder.final_layer_norm")];
    if let Some(found) = by_table(name, &outside) {
        return Some(found);
    }
    let (block, rest) = split_number(name.strip_prefix("enc.blk.")?)?;
    Some(format!("encoder.block.{block}.layer.{}", by_table(rest, BLOCK)?))
}

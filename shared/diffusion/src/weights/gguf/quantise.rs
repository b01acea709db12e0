//! f32 values to blocks of 8 bits: the host's half of keeping a linear layer's weights small.

use half::f16;

/// Blocks of `Q8_0`: 32 values as a half-precision scale (the largest size over 127) and 32 bytes.
///
/// Decoded, a value is off by at most half a scale plus what the scale loses as a half: 0.45 % of
/// its block's largest. `None` when the number of values is no multiple of 32, or a value is too
/// large for a half-precision scale.
pub fn quantise_q8_0(values: &[f32]) -> Option<Vec<u8>> {
    let (blocks, rest) = values.as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(blocks.len() * 34);
    for block in blocks {
        let largest = block.iter().fold(0_f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        let stored = f16::from_f32(scale);
        if !stored.is_finite() || block.iter().any(|value| !value.is_finite()) {
            return None;
        }
        bytes.extend(stored.to_le_bytes());
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        bytes.extend(block.iter().map(|value| ((value * inverse).round() as i8).cast_unsigned()));
    }
    Some(bytes)
}

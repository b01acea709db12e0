//! f32 values to blocks of 8 and 4 bits: the host's half of keeping a linear layer's weights small.

use fresco_kernels::weight::BLOCK;
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

/// Appends up to [`BLOCK`] values as bytes around 128, and zeros in the place of those that lack; gives their scale,
/// the largest size over 127. Where a value is no number, neither is the scale: the run then says so.
pub fn quantise_eight(values: &[f32], bytes: &mut Vec<u8>) -> f32 {
    let largest = values.iter().fold(0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let step = scale.max(f32::MIN_POSITIVE);
    bytes.extend(values.iter().map(|value| ((value / step).round() + 128.0) as u8));
    bytes.extend(std::iter::repeat_n(128, BLOCK.saturating_sub(values.len())));
    finite(values, scale)
}

/// Appends up to [`BLOCK`] values as nibbles around 8, the first in the lower half of its byte, and zeros in the place
/// of those that lack; gives their scale: the value of the largest size over -8, so that this one is met exactly.
pub fn quantise_four(values: &[f32], bytes: &mut Vec<u8>) -> f32 {
    let larger = |a: f32, b: &f32| if b.abs() > a.abs() { *b } else { a };
    let scale = values.iter().fold(0_f32, larger) / -8.0;
    let nibble = |i: usize| match values.get(i) {
        Some(value) if scale != 0.0 => ((value / scale + 8.5) as u8).min(15),
        _ => 8,
    };
    bytes.extend((0..BLOCK / 2).map(|i| nibble(2 * i) | nibble(2 * i + 1) << 4));
    finite(values, scale)
}

/// The scale, if every value is a number.
fn finite(values: &[f32], scale: f32) -> f32 {
    if values.iter().all(|value| value.is_finite()) { scale } else { f32::NAN }
}

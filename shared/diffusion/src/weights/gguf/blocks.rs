//! Values in blocks that share a scale: ggml's quantised types, as `ggml-quants.c` defines them.

use half::f16;

/// A type of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// 4 bits around 8 and a scale.
    Q4_0,
    /// 4 bits, a scale and a least value.
    Q4_1,
    /// 5 bits around 16 and a scale.
    Q5_0,
    /// 5 bits, a scale and a least value.
    Q5_1,
    /// 8 bits with sign and a scale.
    Q8_0,
    /// 4 bits in eight groups of 32, their scales and least values of 6 bits each.
    Q4K,
    /// 5 bits in eight groups of 32, their scales and least values of 6 bits each.
    Q5K,
    /// 6 bits in sixteen groups of 16, their scales of 8 bits each.
    Q6K,
}

impl Block {
    /// Its name in ggml.
    pub fn name(self) -> &'static str {
        match self {
            Block::Q4_0 => "Q4_0",
            Block::Q4_1 => "Q4_1",
            Block::Q5_0 => "Q5_0",
            Block::Q5_1 => "Q5_1",
            Block::Q8_0 => "Q8_0",
            Block::Q4K => "Q4_K",
            Block::Q5K => "Q5_K",
            Block::Q6K => "Q6_K",
        }
    }

    /// Values and bytes of a block.
    pub fn piece(self) -> (usize, usize) {
        match self {
            Block::Q4_0 => (32, 18),
            Block::Q4_1 => (32, 20),
            Block::Q5_0 => (32, 22),
            Block::Q5_1 => (32, 24),
            Block::Q8_0 => (32, 34),
            Block::Q4K => (256, 144),
            Block::Q5K => (256, 176),
            Block::Q6K => (256, 210),
        }
    }

    /// f32 values of whole blocks; an incomplete one at the end is left out.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let (values, size) = self.piece();
        let blocks = bytes.chunks_exact(size);
        let mut out = Vec::with_capacity(blocks.len() * values);
        for block in blocks {
            match self {
                Block::Q4_0 => nibbles(&mut out, [0; 4], &block[2..], around(8.0, half(block, 0))),
                Block::Q4_1 => nibbles(&mut out, [0; 4], &block[4..], from(half(block, 2), half(block, 0))),
                Block::Q5_0 => nibbles(&mut out, four(block, 2), &block[6..], around(16.0, half(block, 0))),
                Block::Q5_1 => nibbles(&mut out, four(block, 4), &block[8..], from(half(block, 2), half(block, 0))),
                Block::Q8_0 => {
                    let scale = half(block, 0);
                    out.extend(block[2..].iter().map(|byte| f32::from(byte.cast_signed()) * scale));
                }
                Block::Q4K => groups(&mut out, block, None, &block[16..]),
                Block::Q5K => groups(&mut out, block, Some(&block[16..48]), &block[48..]),
                Block::Q6K => sixes(&mut out, block),
            }
        }
        out
    }
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn four(block: &[u8], at: usize) -> [u8; 4] {
    [block[at], block[at + 1], block[at + 2], block[at + 3]]
}

/// Numbers around `middle`, in steps of `scale`.
fn around(middle: f32, scale: f32) -> impl Fn(f32) -> f32 {
    move |number| (number - middle) * scale
}

/// Numbers from `least` on, in steps of `scale`.
fn from(least: f32, scale: f32) -> impl Fn(f32) -> f32 {
    move |number| number * scale + least
}

/// 32 values: the lower nibbles of 16 bytes, then the upper ones, with a fifth bit of each from `fifth`.
fn nibbles(out: &mut Vec<f32>, fifth: [u8; 4], quants: &[u8], value: impl Fn(f32) -> f32) {
    let fifth = u32::from_le_bytes(fifth);
    for upper in [0, 1] {
        out.extend(quants[..16].iter().enumerate().map(|(i, byte)| {
            let bit = (fifth >> (i + 16 * upper) & 1) as u8;
            value(f32::from(byte >> (4 * upper) & 15 | bit << 4))
        }));
    }
}

/// 256 values in groups of 32: two groups share 32 bytes, the lower nibbles first.
fn groups(out: &mut Vec<f32>, block: &[u8], fifth: Option<&[u8]>, quants: &[u8]) {
    let (scale, least) = (half(block, 0), half(block, 2));
    for group in 0..8 {
        let (multiple, under) = scale_and_least(&block[4..16], group);
        let (scale, least) = (scale * f32::from(multiple), least * f32::from(under));
        let quants = &quants[group / 2 * 32..][..32];
        out.extend(quants.iter().enumerate().map(|(i, byte)| {
            let bit = fifth.map_or(0, |bits| bits[i] >> group & 1);
            f32::from(byte >> (4 * (group % 2)) & 15 | bit << 4) * scale - least
        }));
    }
}

/// The 6-bit scale and least value of a group, out of 12 bytes: the first four groups have theirs in
/// the lower bits of eight bytes, the others a nibble each and two bits left over there.
fn scale_and_least(packed: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        return (packed[group] & 63, packed[group + 4] & 63);
    }
    let (scale, least) = (packed[group - 4] >> 6 << 4, packed[group] >> 6 << 4);
    (packed[group + 4] & 15 | scale, packed[group + 4] >> 4 | least)
}

/// 256 values of 6 bits in two halves: each has 64 bytes of lower nibbles and 32 bytes of upper pairs.
fn sixes(out: &mut Vec<f32>, block: &[u8]) {
    let (lower, upper, scales, scale) = (&block[..128], &block[128..192], &block[192..208], half(block, 208));
    for value in 0..256 {
        let (part, group, i) = (value / 128, value % 128 / 32, value % 32);
        let nibble = lower[part * 64 + group % 2 * 32 + i] >> (4 * (group / 2)) & 15;
        let pair = upper[part * 32 + i] >> (2 * group) & 3;
        let scale = scale * f32::from(scales[value / 16].cast_signed());
        out.push(scale * (f32::from(nibble | pair << 4) - 32.0));
    }
}

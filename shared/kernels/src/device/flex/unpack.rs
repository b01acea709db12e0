//! Packed weights to f32 on the processor, in threads where there are threads.

use super::{super::UnpackOps, Contiguous, each_piece};
use crate::weight::{BLOCK, half};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn_backend::TensorData;
use burn_flex::{Flex, FlexTensor};

/// Values at a time; a whole number of blocks.
const PIECE: usize = 1 << 14;

/// Halves, two a word, to f32.
fn halves(words: &[u32], values: usize, brain: bool) -> Vec<f32> {
    let mut out = vec![0.0; values];
    each_piece(&mut out, PIECE, |i, piece| {
        let words = words.get(i * PIECE / 2..).unwrap_or_default();
        match brain {
            true => pairs(words, piece, |bits| f32::from_bits(bits << 16)),
            false => pairs(words, piece, half),
        }
    });
    out
}

/// Two values of each word, the lower half first.
fn pairs(words: &[u32], out: &mut [f32], value: impl Fn(u32) -> f32) {
    let (pairs, rest) = out.as_chunks_mut::<2>();
    for (pair, word) in pairs.iter_mut().zip(words) {
        *pair = [value(word & 0xFFFF), value(word >> 16)];
    }
    if let ([last], Some(word)) = (rest, words.get(pairs.len())) {
        *last = value(word & 0xFFFF);
    }
}

/// Blocks of values of `bits` bits, around a middle and times a scale, to f32.
fn blocks(words: &[u32], scales: &[f32], values: usize, bits: u32) -> Vec<f32> {
    let each = 32 / bits as usize;
    let (mask, middle) = ((1 << bits) - 1, (1 << (bits - 1)) as f32);
    let mut out = vec![0.0; values];
    each_piece(&mut out, PIECE, |i, piece| {
        let words = words.get(i * PIECE / each..).unwrap_or_default().chunks(BLOCK / each);
        let scales = scales.get(i * PIECE / BLOCK..).unwrap_or_default();
        for ((block, words), scale) in piece.chunks_mut(BLOCK).zip(words).zip(scales) {
            for (out, word) in block.chunks_mut(each).zip(words) {
                for (place, value) in out.iter_mut().enumerate() {
                    let number = word >> (place as u32 * bits) & mask;
                    *value = (number as f32 - middle) * scale;
                }
            }
        }
    });
    out
}

impl UnpackOps for Flex {
    fn unpack_halves(words: IntTensor<Self>, values: usize, brain: bool) -> FloatTensor<Self> {
        let words = words.to_contiguous();
        let y = halves(words.as_slice().unwrap_or_default(), values, brain);
        FlexTensor::from_data(TensorData::new(y, [values]))
    }

    fn unpack_blocks(words: IntTensor<Self>, scales: FloatTensor<Self>, values: usize, bits: u32) -> FloatTensor<Self> {
        let (words, scales) = (words.to_contiguous(), Contiguous::new(scales));
        let y = blocks(words.as_slice().unwrap_or_default(), scales.values(), values, bits);
        FlexTensor::from_data(TensorData::new(y, [values]))
    }
}

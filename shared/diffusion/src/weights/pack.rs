//! Tensors from their files to words on a device, without f32 copies of the whole on the way.

use super::{
    Block, Kind, Precision, Raw, Storage,
    gguf::{quantise_eight, quantise_four},
};
use crate::Device;
use burn::tensor::{Tensor, TensorData};
use fresco_kernels::{Form, Packed, Weight, weight::BLOCK};
use half::{bf16, f16};

/// A matrix of `shape`, as `precision` keeps it.
pub fn matrix(raw: Raw, shape: [usize; 2], precision: Precision, device: &Device) -> Weight<2> {
    let Some(form) = precision.form(Kind::Matrix, raw.storage()) else { return plain(raw.decode(), shape, device) };
    if form.is_scaled() {
        let (words, scales) = numbers(&raw, form);
        drop(raw);
        return weight(form, words, scales, shape, device);
    }
    let (form, halves) = halves(raw, form);
    weight(form, halves, Vec::new(), shape, device)
}

/// A convolution's filters of `shape` `[out, rows, columns, in]`, that the file has as `[out, in, rows, columns]`, as
/// `precision` keeps them.
pub fn filters(raw: Raw, shape: [usize; 4], precision: Precision, device: &Device) -> Weight<4> {
    let [_, rows, columns, from] = shape;
    let taps = rows * columns;
    let Some(form) = precision.form(Kind::Filters, raw.storage()) else {
        return plain(channels_last(&raw.decode(), from, taps), shape, device);
    };
    let (form, halves) = halves(raw, form);
    let laid = channels_last(halves.as_chunks::<2>().0, from, taps).into_flattened();
    drop(halves);
    weight(form, laid, Vec::new(), shape, device)
}

fn plain<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Weight<D> {
    Tensor::from_data(TensorData::new(values, shape), device).into()
}

/// Words on the device, made of the bytes of whole values.
fn weight<const D: usize>(
    form: Form,
    mut bytes: Vec<u8>,
    scales: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Weight<D> {
    // The last word may be half empty.
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    match Packed::new(form, bytes, scales, shape, device) {
        Some(packed) => Weight::Packed(Box::new(packed)),
        // Only of no values are there no words.
        None => Tensor::zeros(shape, device).into(),
    }
}

/// `[out, in, taps]` to `[out, taps, in]`.
fn channels_last<T: Copy>(published: &[T], from: usize, taps: usize) -> Vec<T> {
    let mut laid = Vec::with_capacity(published.len());
    for filter in published.chunks_exact((from * taps).max(1)) {
        for tap in 0..taps {
            laid.extend((0..from).map(|channel| filter[channel * taps + tap]));
        }
    }
    laid
}

/// Values of 16 bits: the file's own bytes where it has such, in `form` otherwise.
fn halves(raw: Raw, form: Form) -> (Form, Vec<u8>) {
    let raw = match raw {
        Raw::Stored(Storage::F16, bytes) => return (Form::F16, bytes),
        Raw::Stored(Storage::Bf16, bytes) => return (Form::Bf16, bytes),
        other => other,
    };
    // What a half cannot hold, the other form can.
    let too_large = form == Form::F16 && raw.largest().0 > f16::MAX.to_f32();
    let form = if too_large { Form::Bf16 } else { form };
    let narrow = |value: f32| match form {
        Form::F16 => f16::from_f32(value).to_le_bytes(),
        _ => bf16::from_f32(value).to_le_bytes(),
    };
    match raw {
        // In place: what is written is always behind what is still to be read.
        Raw::Stored(Storage::F32, mut bytes) => {
            let count = bytes.len() / 4;
            for i in 0..count {
                let four = [bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]];
                bytes[2 * i..2 * i + 2].copy_from_slice(&narrow(f32::from_le_bytes(four)));
            }
            bytes.truncate(2 * count);
            bytes.shrink_to_fit();
            (form, bytes)
        }
        other => {
            let mut bytes = Vec::with_capacity(2 * other.values());
            other.each_part(|part| bytes.extend(part.iter().flat_map(|value| narrow(*value))));
            (form, bytes)
        }
    }
}

/// Numbers of 8 or 4 bits, as bytes of whole blocks, and the scale of each block.
fn numbers(raw: &Raw, form: Form) -> (Vec<u8>, Vec<f32>) {
    let count = raw.values();
    let mut bytes = Vec::with_capacity(4 * form.words(count));
    let mut scales = Vec::with_capacity(form.scales(count));
    let same = if form == Form::Q8 { Block::Q8_0 } else { Block::Q4_0 };
    match raw {
        // The file's own numbers, to the bit.
        Raw::Stored(Storage::Block(block), stored) if *block == same => {
            for block in stored.chunks_exact(block.piece().1) {
                scales.push(f16::from_le_bytes([block[0], block[1]]).to_f32());
                match form {
                    Form::Q8 => bytes.extend(block[2..].iter().map(|byte| byte ^ 0x80)),
                    _ => bytes.extend(neighbours(&block[2..])),
                }
            }
        }
        other => other.each_part(|part| {
            for block in part.chunks(BLOCK) {
                scales.push(match form {
                    Form::Q8 => quantise_eight(block, &mut bytes),
                    _ => quantise_four(block, &mut bytes),
                });
            }
        }),
    }
    (bytes, scales)
}

/// 32 nibbles with neighbours in one byte, from 16 bytes whose lower nibbles are the first 16 and upper ones the rest.
fn neighbours(nibbles: &[u8]) -> Vec<u8> {
    let lower = nibbles.chunks_exact(2).map(|pair| pair[0] & 15 | pair[1] << 4);
    let upper = nibbles.chunks_exact(2).map(|pair| pair[0] >> 4 | pair[1] & 0xF0);
    lower.chain(upper).collect()
}

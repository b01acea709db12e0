//! The operations as plain tensor code: the reference and the fallback.

use crate::{Conv2d, Form, Norm, Padding, weight::BLOCK};
use burn::tensor::{Bool, Int, Tensor, TensorData, activation, module, ops::ConvOptions};

/// The most memory that attention scores may take, in bytes.
const SCORES: usize = 64 << 20;

/// [`crate::Kernels::conv2d`].
pub fn conv2d(x: Tensor<4>, layer: &Conv2d) -> Tensor<4> {
    let [_, rows, columns, _] = layer.weight.dims();
    let (x, padding) = even_padding(x, layer.padding);
    if (rows, columns, layer.stride, padding) == (1, 1, 1, 0) {
        return pointwise(x, layer);
    }
    let options = ConvOptions::new([layer.stride; 2], [padding; 2], [1; 2], 1);
    let weight = layer.weight.tensor().permute([0, 3, 1, 2]);
    module::conv2d(x.permute([0, 3, 1, 2]), weight, layer.bias.clone(), options).permute([0, 2, 3, 1])
}

/// A 1x1 convolution is a matrix product.
fn pointwise(x: Tensor<4>, layer: &Conv2d) -> Tensor<4> {
    let ([n, h, w, channels], out) = (x.dims(), layer.weight.dims()[0]);
    let weight = layer.weight.tensor().reshape([out, channels]);
    linear(x.reshape([n * h * w, channels]), weight, layer.bias.clone()).reshape([n, h, w, out])
}

/// [`crate::Kernels::linear`].
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let [to, _] = weight.dims();
    let y = x.matmul(weight.transpose());
    match bias {
        Some(bias) => y + bias.reshape([1, to]),
        None => y,
    }
}

/// The picture with what its right and lower padding have more than the others added, and the padding
/// that is then the same on every side: not every backend knows another.
pub(crate) fn even_padding(x: Tensor<4>, padding: Padding) -> (Tensor<4>, usize) {
    let more = padding.end.saturating_sub(padding.begin);
    if more == 0 {
        return (x, padding.begin);
    }
    let ([n, h, w, c], device) = (x.dims(), x.device());
    let x = Tensor::cat(vec![x, Tensor::zeros([n, more, w, c], &device)], 1);
    let x = Tensor::cat(vec![x, Tensor::zeros([n, h + more, more, c], &device)], 2);
    (x, padding.begin)
}

/// Every pixel of `x` `[n, h, w, c]` twice in each direction, cut to `size` (rows, columns).
pub fn repeat_pixels(x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let doubled = x.reshape([n, h, 1, w, 1, c]).expand([n, h, 2, w, 2, c]).reshape([n, 2 * h, 2 * w, c]);
    match (rows, columns) == (2 * h, 2 * w) {
        true => doubled,
        false => doubled.slice([0..n, 0..rows, 0..columns, 0..c]),
    }
}

/// [`crate::Kernels::group_norm`].
pub fn group_norm(x: Tensor<4>, layer: &Norm, groups: usize, silu: bool) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let grouped = x.reshape([n, h * w, groups, c / groups]);
    let count = (h * w * c / groups) as f64;
    let mean = grouped.clone().sum_dim(3).sum_dim(1) / count;
    // Second pass over the centred values: E[x²]-E[x]² loses every digit when the mean is large.
    let centred = grouped - mean;
    let variance = centred.clone().square().sum_dim(3).sum_dim(1) / count;
    let y = centred / (variance + layer.epsilon).sqrt();
    let y = y.reshape([n, h, w, c]) * layer.gamma.clone().reshape([1, 1, 1, c]);
    let y = y + layer.beta.clone().reshape([1, 1, 1, c]);
    if silu { activation::silu(y) } else { y }
}

/// [`crate::Kernels::attention`], as many queries at a time as fit into 64 MiB of scores.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, causal: bool) -> Tensor<4> {
    let [n, heads, s, _] = q.dims();
    let rows = rows_at_once(n, heads, s, k.dims()[2]);
    attention_by(rows, q, k, v, causal, softmax)
}

/// Softmax over the last axis.
pub fn softmax(x: Tensor<4>) -> Tensor<4> {
    activation::softmax(x, 3)
}

/// How many of `s` queries may see `t` keys at once, in `n` pictures of so many heads.
pub fn rows_at_once(n: usize, heads: usize, s: usize, t: usize) -> usize {
    (SCORES / (n * heads * t * size_of::<f32>()).max(1)).clamp(1, s.max(1))
}

/// Attention by `rows` queries at a time, with somebody's softmax over the last axis.
pub fn attention_by(
    rows: usize,
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    causal: bool,
    softmax: fn(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let [n, heads, s, d] = q.dims();
    let q = q * (1.0 / (d as f64).sqrt());
    let keys = k.transpose();
    let part = |start: usize| {
        let end = (start + rows).min(s);
        let part = if rows < s { q.clone().slice([0..n, 0..heads, start..end, 0..d]) } else { q.clone() };
        let scores = part.matmul(keys.clone());
        let scores = if causal { hide_future(scores, start) } else { scores };
        softmax(scores).matmul(v.clone())
    };
    let mut parts: Vec<_> = (0..s).step_by(rows).map(part).collect();
    if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 2) }
}

/// Minus infinity where the key's position is behind the query's; the first row is position `start`.
fn hide_future(scores: Tensor<4>, start: usize) -> Tensor<4> {
    let [_, _, rows, t] = scores.dims();
    let mask = Tensor::<2, Bool>::tril_mask([rows, t], start as i64, &scores.device());
    scores.mask_fill(mask.reshape([1, 1, rows, t]), f32::NEG_INFINITY)
}

/// [`crate::Kernels::layer_norm`].
pub fn layer_norm(x: Tensor<3>, layer: &Norm) -> Tensor<3> {
    module::layer_norm(x, layer.gamma.clone(), Some(layer.beta.clone()), layer.epsilon)
}

/// The values of a packed weight: each number's meaning is looked up in a table of all numbers of so many bits.
pub fn unpack(words: Tensor<1, Int>, scales: Option<Tensor<1>>, values: usize, form: Form) -> Tensor<1> {
    let ([count], bits) = (words.dims(), form.bits());
    let table: Vec<f32> = (0..1_u32 << bits).map(|number| form.value(number)).collect();
    let size = table.len();
    let table = Tensor::<1>::from_data(TensorData::new(table, [size]), &words.device());
    let each = 32 / bits as usize;
    let number = |i: usize| {
        let shifted = words.clone().bitwise_right_shift_scalar(i as i64 * i64::from(bits));
        shifted.bitwise_and_scalar((1i64 << bits) - 1).reshape([count, 1])
    };
    let numbers = Tensor::cat((0..each).map(number).collect(), 1).reshape([count * each]);
    let found = table.select(0, numbers);
    let found = match scales {
        Some(scales) => {
            let [blocks] = scales.dims();
            (found.reshape([blocks, BLOCK]) * scales.reshape([blocks, 1])).reshape([blocks * BLOCK])
        }
        None => found,
    };
    found.narrow(0, 0, values)
}

//! The operations as plain tensor code: the reference and the fallback.

use crate::{Conv2d, Norm};
use burn::tensor::{Bool, Tensor, activation, module, ops::ConvOptions};

/// The most memory that attention scores may take, in bytes.
const SCORES: usize = 64 << 20;

/// [`crate::Kernels::conv2d`].
pub fn conv2d(x: Tensor<4>, layer: &Conv2d) -> Tensor<4> {
    let [_, rows, columns, _] = layer.weight.dims();
    let x = x.permute([0, 3, 1, 2]);
    let weight = layer.weight.clone().permute([0, 3, 1, 2]);
    if (rows, columns, layer.stride) == (1, 1, 1) {
        return pointwise(x, layer);
    }
    let (begin, end) = (layer.padding.begin, layer.padding.end);
    let options = ConvOptions::new([layer.stride; 2], [begin; 2], [1; 2], 1);
    // Padding at the end alone is added by hand: not every backend has it in its convolution.
    let x = if begin == end { x } else { pad_end(x, end - begin) };
    module::conv2d(x, weight, layer.bias.clone(), options).permute([0, 2, 3, 1])
}

/// A 1x1 convolution is a matrix product; `x` is NCHW.
fn pointwise(x: Tensor<4>, layer: &Conv2d) -> Tensor<4> {
    let [out, _, _, channels] = layer.weight.dims();
    let x = x.permute([0, 2, 3, 1]);
    let [n, h, w, _] = x.dims();
    let y = x.reshape([1, n * h * w, channels]);
    let y = y.matmul(layer.weight.clone().reshape([1, out, channels]).transpose());
    let y = match &layer.bias {
        Some(bias) => y + bias.clone().reshape([1, 1, out]),
        None => y,
    };
    y.reshape([n, h, w, out])
}

/// Zeros below and to the right of an NCHW picture.
fn pad_end(x: Tensor<4>, pixels: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let device = x.device();
    let x = Tensor::cat(vec![x, Tensor::zeros([n, c, pixels, w], &device)], 2);
    Tensor::cat(vec![x, Tensor::zeros([n, c, h + pixels, pixels], &device)], 3)
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
    attention_by(rows, q, k, v, causal)
}

/// How many of `s` queries may see `t` keys at once, in `n` pictures of so many heads.
pub fn rows_at_once(n: usize, heads: usize, s: usize, t: usize) -> usize {
    (SCORES / (n * heads * t * size_of::<f32>()).max(1)).clamp(1, s.max(1))
}

/// Attention by `rows` queries at a time.
pub fn attention_by(rows: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, causal: bool) -> Tensor<4> {
    let [n, heads, s, d] = q.dims();
    let q = q * (1.0 / (d as f64).sqrt());
    let keys = k.transpose();
    let part = |start: usize| {
        let end = (start + rows).min(s);
        let scores = q.clone().slice([0..n, 0..heads, start..end, 0..d]).matmul(keys.clone());
        let scores = if causal { hide_future(scores, start) } else { scores };
        activation::softmax(scores, 3).matmul(v.clone())
    };
    let parts: Vec<_> = (0..s).step_by(rows).map(part).collect();
    Tensor::cat(parts, 2)
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

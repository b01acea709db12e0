//! Multi-head attention with its projections.

use super::Linear;
use crate::{
    LoadError,
    weights::{Load, Scope},
};
use burn::tensor::Tensor;
use fresco_kernels::Kernels;

/// Added to a variance.
const EPSILON: f64 = 1e-5;

/// Queries from one sequence, keys and values from another or the same.
#[derive(Clone, Debug)]
pub struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

/// Rows of a batch that see one row's picture beside their own: reference attention, in the form of
/// Hertz et al. 2024 (`StyleAligned`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shared {
    /// The row that all see. It sees itself only.
    pub row: usize,
    /// How far the result moves from what a row sees alone to what it sees with the other: 0 to 1.
    pub weight: f32,
}

/// How a family of models spells the four projections, newest first.
pub struct Names {
    query: &'static [&'static str],
    key: &'static [&'static str],
    value: &'static [&'static str],
    out: &'static [&'static str],
}

/// diffusers: today's names, then the autoencoder's of before 2023.
pub const DIFFUSERS: Names = Names {
    query: &["to_q", "query"],
    key: &["to_k", "key"],
    value: &["to_v", "value"],
    out: &["to_out.0", "proj_attn"],
};

/// transformers' CLIP.
pub const CLIP: Names = Names { query: &["q_proj"], key: &["k_proj"], value: &["v_proj"], out: &["out_proj"] };

/// transformers' vision transformer.
pub const VIT: Names = Names { query: &["q_proj"], key: &["k_proj"], value: &["v_proj"], out: &["o_proj"] };

/// The sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Width of the sequence that asks.
    pub width: usize,
    /// Width of the sequence that answers.
    pub context: usize,
    /// Heads.
    pub heads: usize,
    /// Whether queries, keys and values have a bias; the output always has.
    pub bias: bool,
}

impl Attention {
    /// Reads the layer from `at`.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, names: &Names, sizes: Sizes) -> Result<Self, LoadError> {
        let Sizes { width, context, heads, bias } = sizes;
        let (query, key) = (at.spelled(names.query), at.spelled(names.key));
        let (value, out) = (at.spelled(names.value), at.spelled(names.out));
        Ok(Self {
            query: at.at(query).linear(width, width, bias).await?,
            key: at.at(key).linear(context, width, bias).await?,
            value: at.at(value).linear(context, width, bias).await?,
            out: at.at(out).linear(width, width, true).await?,
            heads,
        })
    }

    /// `x` `[n, s, width]` asks `context` `[n, t, context]`; gives `[n, s, width]`.
    pub fn forward(&self, k: &dyn Kernels, x: Tensor<3>, context: Tensor<3>, causal: bool) -> Tensor<3> {
        let [n, s, width] = x.dims();
        let query = self.split(self.query.forward(x));
        let key = self.split(self.key.forward(context.clone()));
        let value = self.split(self.value.forward(context));
        let y = k.attention(query, key, value, causal);
        self.out.forward(y.swap_dims(1, 2).reshape([n, s, width]))
    }

    /// `x` `[n, s, width]` asks itself and, in every row of the batch, the row that `shared` names.
    ///
    /// Queries and keys first take that row's mean and deviation over the sequence, without which they
    /// would hardly find each other (`StyleAligned`, equation 4). The row itself is left as it was:
    /// keys and values that are there twice weigh the same.
    pub fn forward_shared(&self, k: &dyn Kernels, x: Tensor<3>, shared: Shared) -> Tensor<3> {
        let [n, s, width] = x.dims();
        let query = self.split(self.query.forward(x.clone()));
        let key = self.split(self.key.forward(x.clone()));
        let value = self.split(self.value.forward(x));
        let alone = k.attention(query.clone(), key.clone(), value.clone(), false);
        let seen = |x: &Tensor<4>| x.clone().narrow(0, shared.row, 1).repeat_dim(0, n);
        let (seen_query, seen_key, seen_value) = (seen(&query), seen(&key), seen(&value));
        let query = with_statistics(query, &seen_query);
        let key = Tensor::cat(vec![with_statistics(key, &seen_key), seen_key], 2);
        let value = Tensor::cat(vec![value, seen_value], 2);
        let together = k.attention(query, key, value, false);
        let y = alone.clone() + (together - alone) * shared.weight;
        self.out.forward(y.swap_dims(1, 2).reshape([n, s, width]))
    }

    /// `[n, s, width]` to `[n, heads, s, width / heads]`.
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [n, s, width] = x.dims();
        x.reshape([n, s, self.heads, width / self.heads]).swap_dims(1, 2)
    }
}

/// Adaptive instance normalisation (Huang & Belongie 2017) over the sequence of `[n, heads, s, d]`:
/// `x` with the mean and the deviation of `reference`.
fn with_statistics(x: Tensor<4>, reference: &Tensor<4>) -> Tensor<4> {
    let mean = x.clone().mean_dim(2);
    let reference_mean = reference.clone().mean_dim(2);
    let deviation = |x: Tensor<4>| (x.powi_scalar(2).mean_dim(2) + EPSILON).sqrt();
    let centred = x - mean;
    let scale = deviation(reference.clone() - reference_mean.clone()) / deviation(centred.clone());
    centred * scale + reference_mean
}

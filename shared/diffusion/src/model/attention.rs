//! Multi-head attention with its projections.

use super::Linear;
use crate::{
    LoadError,
    weights::{Load, Scope},
};
use burn::tensor::Tensor;
use fresco_kernels::Kernels;

/// Queries from one sequence, keys and values from another or the same.
#[derive(Clone, Debug)]
pub struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
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

    /// `[n, s, width]` to `[n, heads, s, width / heads]`.
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [n, s, width] = x.dims();
        x.reshape([n, s, self.heads, width / self.heads]).swap_dims(1, 2)
    }
}

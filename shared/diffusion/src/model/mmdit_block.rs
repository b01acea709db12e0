//! The joint block of the MMDiT (Esser et al. 2024, figure 2b): patches and prompt, each with weights of its
//! own, in one attention.

use super::{Linear, gelu_tanh};
use crate::{
    LoadError,
    config::{MmditConfig, QkNorm},
    weights::{Load, Scope},
};
use burn::tensor::{Tensor, activation};
use fresco_kernels::{Kernels, Norm};

/// Added to the variance in every norm.
const EPSILON: f64 = 1e-6;

/// Layer normalisation whose scale and shift come from the moment (Peebles & Xie 2023, adaLN-Zero).
pub struct Modulated {
    linear: Linear,
    norm: Norm,
}

impl Modulated {
    /// Reads the layer from `at`; `parts` vectors are made of the moment.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, width: usize, parts: usize) -> Result<Self, LoadError> {
        let linear = at.at("linear").linear(width, parts * width, true).await?;
        let device = linear.weight.device();
        // The norm has no weights of its own.
        let norm =
            Norm { gamma: Tensor::ones([width], &device), beta: Tensor::zeros([width], &device), epsilon: EPSILON };
        Ok(Self { linear, norm })
    }

    /// The vectors `[n, 1, width]` of a moment `[n, width]`.
    fn parts(&self, moment: &Tensor<2>) -> Vec<Tensor<3>> {
        let [n, width] = moment.dims();
        let y = self.linear.forward(activation::silu(moment.clone()).reshape([n, 1, width]));
        let count = y.dims()[2] / width;
        (0..count).map(|i| y.clone().slice([0..n, 0..1, i * width..(i + 1) * width])).collect()
    }

    fn apply(&self, k: &dyn Kernels, x: Tensor<3>, shift: &Tensor<3>, scale: &Tensor<3>) -> Tensor<3> {
        modulate(k.layer_norm(x, &self.norm), shift, scale)
    }

    /// The norm before the end of a stream: here the scale comes first, then the shift.
    pub fn last(&self, k: &dyn Kernels, x: Tensor<3>, moment: &Tensor<2>) -> Tensor<3> {
        match self.parts(moment).as_slice() {
            [scale, shift] => self.apply(k, x, shift, scale),
            _ => x,
        }
    }
}

fn modulate(x: Tensor<3>, shift: &Tensor<3>, scale: &Tensor<3>) -> Tensor<3> {
    x * (scale.clone() + 1.0) + shift.clone()
}

/// Queries, keys and values of a stream, `[n, heads, s, d]`.
struct Heads {
    query: Linear,
    key: Linear,
    value: Linear,
    norms: Option<(Tensor<1>, Tensor<1>)>,
    heads: usize,
}

/// How the two streams spell their layers.
struct Names {
    query: &'static str,
    key: &'static str,
    value: &'static str,
    norms: (&'static str, &'static str),
}

const PATCHES: Names = Names { query: "to_q", key: "to_k", value: "to_v", norms: ("norm_q", "norm_k") };
const PROMPT: Names =
    Names { query: "add_q_proj", key: "add_k_proj", value: "add_v_proj", norms: ("norm_added_q", "norm_added_k") };

impl Heads {
    async fn load(at: &mut Scope<'_, impl Load>, names: &Names, config: &MmditConfig) -> Result<Self, LoadError> {
        let (width, size) = (config.width(), config.attention_head_dim);
        let norms = match config.qk_norm {
            Some(QkNorm::RmsNorm) => Some((
                at.at(names.norms.0).vector("weight", size).await?,
                at.at(names.norms.1).vector("weight", size).await?,
            )),
            None => None,
        };
        Ok(Self {
            query: at.at(names.query).linear(width, width, true).await?,
            key: at.at(names.key).linear(width, width, true).await?,
            value: at.at(names.value).linear(width, width, true).await?,
            norms,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: Tensor<3>) -> [Tensor<4>; 3] {
        let [n, s, width] = x.dims();
        let split = |x: Tensor<3>| x.reshape([n, s, self.heads, width / self.heads]).swap_dims(1, 2);
        let (query, key) = (split(self.query.forward(x.clone())), split(self.key.forward(x.clone())));
        let value = split(self.value.forward(x));
        match &self.norms {
            Some((of_query, of_key)) => [rms_norm(query, of_query), rms_norm(key, of_key), value],
            None => [query, key, value],
        }
    }
}

/// Division by the root mean square of the last axis (Zhang & Sennrich 2019), `[n, heads, s, d]`.
fn rms_norm(x: Tensor<4>, weight: &Tensor<1>) -> Tensor<4> {
    let d = x.dims()[3];
    let mean = x.clone().square().mean_dim(3);
    x / (mean + EPSILON).sqrt() * weight.clone().reshape([1, 1, 1, d])
}

fn merge(x: Tensor<4>) -> Tensor<3> {
    let [n, heads, s, d] = x.dims();
    x.swap_dims(1, 2).reshape([n, s, heads * d])
}

/// What follows the attention in a stream: its projection, and the two linear layers.
struct Rest {
    out: Linear,
    norm: Norm,
    widen: Linear,
    narrow: Linear,
}

impl Rest {
    async fn load(
        at: &mut Scope<'_, impl Load>,
        (out, ff): (&str, &str),
        first: &Modulated,
        width: usize,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            out: at.at(out).linear(width, width, true).await?,
            norm: first.norm.clone(),
            widen: at.at(ff).at("net.0.proj").linear(width, 4 * width, true).await?,
            narrow: at.at(ff).at("net.2").linear(4 * width, width, true).await?,
        })
    }

    /// The feed-forward layers' contribution to `x`.
    fn feed(&self, k: &dyn Kernels, x: Tensor<3>, shift: &Tensor<3>, scale: &Tensor<3>) -> Tensor<3> {
        let y = modulate(k.layer_norm(x, &self.norm), shift, scale);
        self.narrow.forward(gelu_tanh(self.widen.forward(y)))
    }
}

/// A joint block.
pub struct Joint {
    norm: Modulated,
    heads: Heads,
    rest: Rest,
    /// The patches' second attention, to themselves alone, in the first blocks of SD3.5 medium.
    alone: Option<(Heads, Linear)>,
    prompt_norm: Modulated,
    prompt_heads: Heads,
    /// Not in the last block, behind which nobody reads the prompt's stream.
    prompt_rest: Option<Rest>,
}

impl Joint {
    /// Reads block `i` from `at`.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, config: &MmditConfig, i: usize) -> Result<Self, LoadError> {
        let width = config.width();
        let (dual, last) = (config.dual_attention_layers.contains(&i), i + 1 == config.num_layers);
        let norm = Modulated::load(at.at("norm1"), width, if dual { 9 } else { 6 }).await?;
        let prompt_norm = Modulated::load(at.at("norm1_context"), width, if last { 2 } else { 6 }).await?;
        let alone = match dual {
            true => {
                let mut at = at.at("attn2");
                let heads = Heads::load(&mut at, &PATCHES, config).await?;
                Some((heads, at.at("to_out.0").linear(width, width, true).await?))
            }
            false => None,
        };
        let prompt_rest = match last {
            true => None,
            false => Some(Rest::load(&mut at, ("attn.to_add_out", "ff_context"), &prompt_norm, width).await?),
        };
        Ok(Self {
            rest: Rest::load(&mut at, ("attn.to_out.0", "ff"), &norm, width).await?,
            heads: Heads::load(&mut at.at("attn"), &PATCHES, config).await?,
            prompt_heads: Heads::load(&mut at.at("attn"), &PROMPT, config).await?,
            norm,
            alone,
            prompt_norm,
            prompt_rest,
        })
    }

    /// Patches `x` `[n, s, width]` and prompt `[n, t, width]` at a moment `[n, width]`; the last block gives the
    /// prompt back as it came.
    pub fn forward(
        &self,
        k: &dyn Kernels,
        x: Tensor<3>,
        prompt: Tensor<3>,
        moment: &Tensor<2>,
    ) -> (Tensor<3>, Tensor<3>) {
        let parts = self.norm.parts(moment);
        let [shift, scale, gate, feed_shift, feed_scale, feed_gate, others @ ..] = parts.as_slice() else {
            return (x, prompt);
        };
        let prompt_parts = self.prompt_norm.parts(moment);
        let y = self.norm.apply(k, x.clone(), shift, scale);
        let told = match prompt_parts.as_slice() {
            [shift, scale, _, _, _, _] => self.prompt_norm.apply(k, prompt.clone(), shift, scale),
            _ => self.prompt_norm.last(k, prompt.clone(), moment),
        };
        let (seen, answered) = self.attend(k, y, told);
        let mut out = x.clone() + gate.clone() * self.rest.out.forward(seen);
        if let (Some((heads, leave)), [shift, scale, gate]) = (&self.alone, others) {
            let [q, key, v] = heads.forward(self.norm.apply(k, x, shift, scale));
            out = out + gate.clone() * leave.forward(merge(k.attention(q, key, v, false)));
        }
        let fed = self.rest.feed(k, out.clone(), feed_shift, feed_scale);
        let prompt = self.answer(k, prompt, answered, &prompt_parts);
        (out + feed_gate.clone() * fed, prompt)
    }

    /// One attention over patches and prompt, in this order, `[n, s, width]` and `[n, t, width]`.
    fn attend(&self, k: &dyn Kernels, x: Tensor<3>, prompt: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [n, s, width] = x.dims();
        let t = prompt.dims()[1];
        let [query, key, value] = self.heads.forward(x);
        let [prompt_query, prompt_key, prompt_value] = self.prompt_heads.forward(prompt);
        let join = |x: Tensor<4>, prompt: Tensor<4>| Tensor::cat(vec![x, prompt], 2);
        let (query, key, value) = (join(query, prompt_query), join(key, prompt_key), join(value, prompt_value));
        let y = merge(k.attention(query, key, value, false));
        (y.clone().slice([0..n, 0..s, 0..width]), y.slice([0..n, s..s + t, 0..width]))
    }

    /// The prompt's stream behind the attention.
    fn answer(&self, k: &dyn Kernels, prompt: Tensor<3>, seen: Tensor<3>, parts: &[Tensor<3>]) -> Tensor<3> {
        match (&self.prompt_rest, parts) {
            (Some(rest), [_, _, gate, shift, scale, feed_gate]) => {
                let prompt = prompt + gate.clone() * rest.out.forward(seen);
                prompt.clone() + feed_gate.clone() * rest.feed(k, prompt, shift, scale)
            }
            _ => prompt,
        }
    }
}

//! What a denoiser is told besides latents and timestep.

use burn::tensor::Tensor;

/// A batch of prompts as the denoiser takes them.
#[derive(Clone, Debug)]
pub struct Conditioning {
    /// The prompts' states, `[n, tokens, width]`.
    pub states: Tensor<3>,
    /// One vector a prompt, `[n, width]`, for the models that take one.
    pub pooled: Option<Tensor<2>>,
    /// Six numbers a prompt about the picture's size ([`crate::config::SIZES`]), for the models that take them.
    pub sizes: Vec<f32>,
}

impl Conditioning {
    /// States alone: all that Stable Diffusion 1 and 2 take.
    pub fn of(states: Tensor<3>) -> Self {
        Self { states, pooled: None, sizes: Vec::new() }
    }

    /// These prompts and then others of the same model.
    #[must_use]
    pub fn followed_by(&self, others: &Self) -> Self {
        let pooled = self.pooled.clone().zip(others.pooled.clone());
        Self {
            states: Tensor::cat(vec![self.states.clone(), others.states.clone()], 0),
            pooled: pooled.map(|(ours, theirs)| Tensor::cat(vec![ours, theirs], 0)),
            sizes: [self.sizes.as_slice(), &others.sizes].concat(),
        }
    }

    /// Prompts in the batch.
    pub fn batch(&self) -> usize {
        self.states.dims()[0]
    }
}

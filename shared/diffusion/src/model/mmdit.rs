//! The denoiser of Stable Diffusion 3 and 3.5: the multimodal diffusion transformer (Esser et al. 2024), as
//! diffusers' `SD3Transformer2DModel`.

use super::{
    Conditioning, Linear,
    mmdit_block::{Joint, Modulated},
    mmdit_embed::{Moment, Patches},
};
use crate::{
    LoadError,
    config::MmditConfig,
    weights::{Load, Scope},
};
use burn::tensor::{Device, Tensor};
use fresco_kernels::Kernels;

/// Noisy latents, timestep and prompt to the velocity from data to noise.
pub struct Mmdit {
    config: MmditConfig,
    patches: Patches,
    moment: Moment,
    context: Linear,
    blocks: Vec<Joint>,
    last: Modulated,
    leave: Linear,
}

impl Mmdit {
    /// Reads the denoiser from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut at: Scope<'_, impl Load>, config: MmditConfig, device: &Device) -> Result<Self, LoadError> {
        let width = config.width();
        let patches = Patches::load(at.at("pos_embed"), &config, device).await?;
        let moment = Moment::load(at.at("time_text_embed"), &config, device).await?;
        let context = at.at("context_embedder").linear(config.joint_attention_dim, width, true).await?;
        let mut blocks = Vec::with_capacity(config.num_layers);
        for i in 0..config.num_layers {
            blocks.push(Joint::load(at.at("transformer_blocks").at(i), &config, i).await?);
        }
        let last = Modulated::load(at.at("norm_out"), width, 2).await?;
        let out = config.patch_size * config.patch_size * config.predicted();
        let leave = at.at("proj_out").linear(width, out, true).await?;
        Ok(Self { config, patches, moment, context, blocks, last, leave })
    }

    /// `x` `[n, h, w, in_channels]`, rows and columns multiples of the patch and at most
    /// [`MmditConfig::positions`] patches, at `timesteps` `[n]`; gives `[n, h, w, out_channels]`.
    pub fn forward(&self, k: &dyn Kernels, x: Tensor<4>, timesteps: &[f32], told: &Conditioning) -> Tensor<4> {
        let [n, h, w, _] = x.dims();
        let moment = self.moment.forward(timesteps, told.pooled.as_ref());
        let mut x = self.patches.forward(k, x);
        let mut prompt = self.context.forward(told.states.clone());
        for block in &self.blocks {
            (x, prompt) = block.forward(k, x, prompt, &moment);
        }
        let y = self.leave.forward(self.last.last(k, x, &moment));
        let (patch, channels) = (self.config.patch_size, self.config.predicted());
        let y = y.reshape([n, h / patch, w / patch, patch, patch, channels]);
        y.permute([0, 1, 3, 2, 4, 5]).reshape([n, h, w, channels])
    }
}

//! The networks that predict, behind one call.

use crate::{
    Device, LoadError, Source,
    config::{MmditConfig, UNetConfig, read_json},
    model::{Conditioning, attention::Shared, mmdit::Mmdit, unet::UNet},
    weights::{Load, Scope},
};
use burn::tensor::Tensor;
use fresco_kernels::Kernels;

/// The kinds of denoiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenoiserClass {
    /// Convolutions and attention on several resolutions.
    UNet,
    /// A transformer over patches.
    Mmdit,
}

/// A denoiser's configuration.
#[derive(Clone, Debug)]
pub enum DenoiserConfig {
    /// Of a UNet.
    UNet(UNetConfig),
    /// Of an MMDiT.
    Mmdit(MmditConfig),
}

/// A loaded denoiser.
pub enum Denoiser {
    /// A UNet.
    UNet(Box<UNet>),
    /// An MMDiT.
    Mmdit(Box<Mmdit>),
}

impl DenoiserClass {
    /// Its folder.
    pub fn folder(self) -> &'static str {
        match self {
            DenoiserClass::UNet => "unet",
            DenoiserClass::Mmdit => "transformer",
        }
    }

    /// Its class in `model_index.json`.
    pub fn class(self) -> &'static str {
        match self {
            DenoiserClass::UNet => "UNet2DConditionModel",
            DenoiserClass::Mmdit => "SD3Transformer2DModel",
        }
    }

    /// Whether rows of a batch can see one row's picture.
    pub fn can_share(self) -> bool {
        self == DenoiserClass::UNet
    }

    /// Its configuration, checked.
    ///
    /// # Errors
    /// The file is missing, damaged, or asks for something that is not built.
    pub async fn read(self, source: &impl Source) -> Result<DenoiserConfig, LoadError> {
        let file = format!("{}/config.json", self.folder());
        match self {
            DenoiserClass::UNet => {
                let config: UNetConfig = read_json(source, &file).await?;
                config.check(&file)?;
                Ok(DenoiserConfig::UNet(config))
            }
            DenoiserClass::Mmdit => {
                let config: MmditConfig = read_json(source, &file).await?;
                config.check(&file)?;
                Ok(DenoiserConfig::Mmdit(config))
            }
        }
    }
}

impl DenoiserConfig {
    /// Its kind.
    pub fn class(&self) -> DenoiserClass {
        match self {
            DenoiserConfig::UNet(_) => DenoiserClass::UNet,
            DenoiserConfig::Mmdit(_) => DenoiserClass::Mmdit,
        }
    }

    /// The file that errors name.
    pub fn file(&self) -> String {
        format!("{}/config.json", self.class().folder())
    }

    /// Channels in and out.
    pub fn channels(&self) -> (usize, usize) {
        match self {
            DenoiserConfig::UNet(config) => (config.in_channels, config.out_channels),
            DenoiserConfig::Mmdit(config) => (config.in_channels, config.predicted()),
        }
    }

    /// Width of the prompt's states.
    pub fn context(&self) -> usize {
        match self {
            DenoiserConfig::UNet(config) => config.cross_attention_dim.of(0),
            DenoiserConfig::Mmdit(config) => config.joint_attention_dim,
        }
    }

    /// Latent rows and columns that the model was trained for.
    pub fn native_side(&self) -> usize {
        match self {
            DenoiserConfig::UNet(config) => config.native_side(),
            DenoiserConfig::Mmdit(config) => config.sample_size,
        }
    }

    /// What latent rows and columns must be a multiple of.
    pub fn multiple(&self) -> usize {
        match self {
            DenoiserConfig::UNet(_) => 1,
            DenoiserConfig::Mmdit(config) => config.patch_size,
        }
    }

    /// The most latent rows and columns, where there is a limit.
    pub fn most(&self) -> Option<usize> {
        match self {
            DenoiserConfig::UNet(_) => None,
            DenoiserConfig::Mmdit(config) => Some(config.positions() * config.patch_size),
        }
    }

    /// Reads the denoiser from its file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(&self, root: Scope<'_, impl Load>, device: &Device) -> Result<Denoiser, LoadError> {
        match self.clone() {
            DenoiserConfig::UNet(config) => Ok(Denoiser::UNet(Box::new(UNet::load(root, config, device).await?))),
            DenoiserConfig::Mmdit(config) => Ok(Denoiser::Mmdit(Box::new(Mmdit::load(root, config, device).await?))),
        }
    }
}

impl Denoiser {
    /// The prediction `[n, h, w, c]` for `x` `[n, h, w, channels]` at `timesteps` `[n]`.
    ///
    /// With `shared`, one row's picture lends its style to the others; only where [`Denoiser::can_share`].
    pub fn forward(
        &self,
        k: &dyn Kernels,
        x: Tensor<4>,
        timesteps: &[f32],
        told: &Conditioning,
        shared: Option<Shared>,
    ) -> Tensor<4> {
        match self {
            Denoiser::UNet(unet) => unet.forward(k, x, timesteps, told, shared),
            Denoiser::Mmdit(mmdit) => mmdit.forward(k, x, timesteps, told),
        }
    }

    /// Whether rows of a batch can see one row's picture, as [`DenoiserClass::can_share`].
    pub fn can_share(&self) -> bool {
        matches!(self, Denoiser::UNet(_))
    }
}

//! A loaded model: tokenizer, text encoder, denoiser and autoencoder as one value.

use crate::{
    Device, LoadError, Observer, Source,
    config::{ClipConfig, UNetConfig, VaeConfig, read_json},
    model::{
        clip::Clip,
        unet::UNet,
        vae::{Decoder, Encoder},
    },
    schedule::ScheduleConfig,
    tokenizer::Tokenizer,
    weights::{Progress, Weights, files},
};
use fresco_kernels::Kernels;
use serde_json::Value;

const INDEX: &str = "model_index.json";
const TEXT: &str = "text_encoder/config.json";
const UNET: &str = "unet/config.json";
const VAE: &str = "vae/config.json";
const SCHEDULER: &str = "scheduler/scheduler_config.json";

/// What a model's configuration files say about the requests it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Pixels a latent position stands for.
    pub latent_factor: u32,
    /// The side the model was trained for, in pixels.
    pub native_side: u32,
    /// All weight files, in bytes.
    pub bytes: u64,
    /// Channels that the denoiser takes behind the latents': above 0 in a model made for inpainting.
    pub extra_channels: usize,
}

/// A loaded model on a device.
pub struct Pipeline {
    facts: Facts,
    tokenizer: Tokenizer,
    text: Clip,
    unet: UNet,
    decoder: Decoder,
    encoder: Encoder,
    vae: VaeConfig,
    schedule: ScheduleConfig,
    device: Device,
    kernels: &'static dyn Kernels,
}

/// The configuration of every component, checked.
struct Configs {
    text: ClipConfig,
    unet: UNetConfig,
    vae: VaeConfig,
    schedule: ScheduleConfig,
}

/// The weight files of every component.
struct Files {
    text: Vec<String>,
    unet: Vec<String>,
    vae: Vec<String>,
}

impl Pipeline {
    /// Reads only configuration files and sizes: quick, and enough to check a request.
    ///
    /// # Errors
    /// A file is missing or damaged, or the model is of a kind that is not built.
    pub async fn inspect(source: &impl Source) -> Result<Facts, LoadError> {
        let configs = Configs::read(source).await?;
        let files = Files::find(source).await?;
        facts(source, &configs, &files).await
    }

    /// Loads a diffusers folder tensor by tensor.
    ///
    /// # Errors
    /// As [`Pipeline::inspect`]; a tensor is missing, truncated or of the wrong shape; or the observer
    /// cancelled it.
    pub async fn load(source: &impl Source, device: &Device, observer: &mut impl Observer) -> Result<Self, LoadError> {
        let configs = Configs::read(source).await?;
        let files = Files::find(source).await?;
        let facts = facts(source, &configs, &files).await?;
        let tokenizer = Tokenizer::load(source, "tokenizer").await?;
        tokenizer.check_fits(configs.text.vocab_size)?;
        let progress = &mut Progress { loaded: 0, total: facts.bytes };
        let Configs { text, unet, vae, schedule } = configs;
        let mut weights = Weights::open(source, &files.text, device, observer, progress).await?;
        let text = Clip::load(weights.root(), text, device).await?;
        let mut weights = Weights::open(source, &files.unet, device, observer, progress).await?;
        let unet = UNet::load(weights.root(), unet, device).await?;
        let mut weights = Weights::open(source, &files.vae, device, observer, progress).await?;
        let decoder = Decoder::load(weights.root(), &vae).await?;
        let encoder = Encoder::load(weights.root(), &vae).await?;
        let (device, kernels) = (device.clone(), fresco_kernels::fast());
        Ok(Self { facts, tokenizer, text, unet, decoder, encoder, vae, schedule, device, kernels })
    }

    /// What the configuration says.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub(crate) fn text(&self) -> &Clip {
        &self.text
    }

    pub(crate) fn denoiser(&self) -> &UNet {
        &self.unet
    }

    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub(crate) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    pub(crate) fn kernels(&self) -> &dyn Kernels {
        self.kernels
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn schedule_config(&self) -> &ScheduleConfig {
        &self.schedule
    }

    pub(crate) fn latent_channels(&self) -> usize {
        self.vae.latent_channels
    }

    /// Scaling and shift between the denoiser's latents and the autoencoder's.
    pub(crate) fn latent_scaling(&self) -> (f32, f32) {
        (self.vae.scaling_factor, self.vae.shift_factor.unwrap_or(0.0))
    }
}

impl Configs {
    async fn read(source: &impl Source) -> Result<Self, LoadError> {
        check_kind(&read_json(source, INDEX).await?)?;
        let configs = Self {
            text: read_json(source, TEXT).await?,
            unet: read_json(source, UNET).await?,
            vae: read_json(source, VAE).await?,
            schedule: read_json(source, SCHEDULER).await?,
        };
        configs.text.check(TEXT)?;
        configs.unet.check(UNET)?;
        configs.vae.check(VAE)?;
        configs.schedule.check()?;
        configs.check_fit()?;
        Ok(configs)
    }

    /// Whether the parts fit each other.
    fn check_fit(&self) -> Result<(), LoadError> {
        let width = self.text.hidden_size;
        for level in 0..self.unet.block_out_channels.len() {
            let asked = self.unet.cross_attention_dim.of(level);
            if asked != width {
                return Err(LoadError::bad(
                    UNET,
                    format!("cross_attention_dim is {asked}, the text encoder gives {width}"),
                ));
            }
        }
        let latent = self.vae.latent_channels;
        // Behind the latents: a mask, and the masked picture's latents.
        let fits = self.unet.in_channels == latent || self.unet.in_channels == 2 * latent + 1;
        if !fits || self.unet.out_channels != latent {
            let channels = (self.unet.in_channels, self.unet.out_channels);
            return Err(LoadError::unsupported(
                UNET,
                format!("(in_channels, out_channels) = {channels:?} with {latent} latent channels"),
            ));
        }
        Ok(())
    }
}

/// Whether the folder holds a model of the Stable Diffusion UNet family.
fn check_kind(index: &serde_json::Map<String, Value>) -> Result<(), LoadError> {
    let class = index.get("_class_name").and_then(Value::as_str).unwrap_or_default();
    if !class.starts_with("StableDiffusion") {
        return Err(LoadError::unsupported(INDEX, format!("_class_name {class:?}")));
    }
    let built = [("text_encoder", "CLIPTextModel"), ("unet", "UNet2DConditionModel"), ("vae", "AutoencoderKL")];
    for (part, expected) in built {
        let class = index.get(part).and_then(|names| names.get(1)).and_then(Value::as_str);
        if class != Some(expected) {
            let found = class.unwrap_or("nothing");
            return Err(LoadError::unsupported(INDEX, format!("{part} {found} instead of {expected}")));
        }
    }
    match index.get("text_encoder_2").and_then(|names| names.get(1)) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(LoadError::unsupported(INDEX, "a second text encoder")),
    }
}

impl Files {
    async fn find(source: &impl Source) -> Result<Self, LoadError> {
        Ok(Self {
            text: files(source, "text_encoder/model").await?,
            unet: files(source, "unet/diffusion_pytorch_model").await?,
            vae: files(source, "vae/diffusion_pytorch_model").await?,
        })
    }
}

async fn facts(source: &impl Source, configs: &Configs, files: &Files) -> Result<Facts, LoadError> {
    let mut bytes = 0;
    for file in files.text.iter().chain(&files.unet).chain(&files.vae) {
        bytes += source.len(file).await?.ok_or_else(|| LoadError::bad(file, "the file is missing"))?;
    }
    let latent_factor = configs.vae.factor();
    let native_side = latent_factor * configs.unet.native_side() as u32;
    let extra_channels = configs.unet.in_channels.saturating_sub(configs.vae.latent_channels);
    Ok(Facts { latent_factor, native_side, bytes, extra_channels })
}

//! A loaded model: text encoders, denoiser and autoencoder of whatever family as one value.

mod extras;
mod loras;
mod offload;

use crate::{
    Device, LoadError, Observer, RunError, Source,
    family::{Asked, Component, Denoiser, FamilyName, Loading, NO_LORAS, Part, Parts, Shelves, Texts},
    finish::Finish,
    fit::Work,
    model::{
        Conditioning,
        vae::{Decoder, Encoder},
    },
    prompt::Embedding,
    schedule::ScheduleConfig,
    weights::Precision,
};
use fresco_api::{ApiError, ErrorCode, Params, Sampler};
use fresco_kernels::Kernels;
use std::collections::BTreeSet;

/// What a model's files say about the requests it takes and the room it needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Pixels a latent position stands for.
    pub latent_factor: u32,
    /// The side the model was trained for, in pixels.
    pub native_side: u32,
    /// All weight files, in bytes.
    pub bytes: u64,
    /// The model's family.
    pub family: FamilyName,
    /// What width and height must be a multiple of, in pixels; never less than `latent_factor`.
    pub side_multiple: u32,
    /// The longest side that the model takes, in pixels, where there is a limit.
    pub longest_side: Option<u32>,
    /// Channels that the denoiser takes behind the latents': above 0 in a model made for inpainting, which takes
    /// a mask and the masked picture's latents.
    pub extra_channels: usize,
    /// Width of the prompt's states that the denoiser takes: models of one family with the same width take the
    /// same text encoders.
    pub context: usize,
    /// Whether it predicts a flow.
    pub flow: bool,
    /// Whether it can take over a picture's style.
    pub takes_style: bool,
    /// The sampler that the folder was published with.
    pub sampler: Sampler,
    /// The samplers that can run it.
    pub samplers: Vec<Sampler>,
    /// Every part with weights, in the order in which they run.
    pub components: Vec<Component>,
    /// What a run holds besides weights.
    pub work: Work,
}

/// How a model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Loads the text encoders with the rest. Without, [`Pipeline::load_text_encoders`] brings them when a prompt
    /// is to be read.
    pub text_encoders: bool,
    /// Takes the text encoders too that a model can do without: T5, of 9.5 GB, in Stable Diffusion 3.
    pub optional: bool,
    /// In how many bits weights stay on the device.
    pub precision: Precision,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { text_encoders: true, optional: true, precision: Precision::F32 }
    }
}

/// A loaded model on a device.
pub struct Pipeline {
    facts: Facts,
    parts: Parts,
    texts: Option<Texts>,
    denoiser: Denoiser,
    decoder: Decoder,
    encoder: Encoder,
    device: Device,
    kernels: &'static dyn Kernels,
    /// The tensors of text encoders and denoiser, for LoRAs to come and go.
    kept: Shelves,
    /// The tensors that LoRAs changed, with their parts' folders.
    changed: BTreeSet<(&'static str, String)>,
    precision: Precision,
    /// Words that the text encoders learned, also while they are not loaded.
    words: Vec<Embedding>,
    pub(crate) finish: Finish,
}

impl Pipeline {
    /// Reads only configuration files, headers and sizes: quick, and enough to check a request.
    ///
    /// # Errors
    /// A file is missing or damaged, or the model is of a kind that is not built.
    pub async fn inspect(source: &impl Source) -> Result<Facts, LoadError> {
        facts(source, &Parts::read(source).await?).await
    }

    /// Loads a diffusers folder tensor by tensor.
    ///
    /// # Errors
    /// As [`Pipeline::inspect`]; a tensor is missing, truncated or of the wrong shape; or the observer
    /// cancelled it.
    pub async fn load(source: &impl Source, device: &Device, observer: &mut impl Observer) -> Result<Self, LoadError> {
        Self::load_with(source, device, LoadOptions::default(), observer).await
    }

    /// As [`Pipeline::load`], with a choice of what is loaded.
    ///
    /// # Errors
    /// As [`Pipeline::load`].
    pub async fn load_with(
        source: &impl Source,
        device: &Device,
        options: LoadOptions,
        observer: &mut impl Observer,
    ) -> Result<Self, LoadError> {
        // A large state: on the heap it leaves the stack, which is small in a browser, to the rest.
        Box::pin(Self::load_sharing(source, device, options, Shelves::new(), observer)).await
    }

    /// As [`Pipeline::load_with`], with tensors of another model that are the same in this one, by the folder of this
    /// one's part: they are not read, and take no more memory.
    ///
    /// # Errors
    /// As [`Pipeline::load`].
    pub async fn load_sharing(
        source: &impl Source,
        device: &Device,
        options: LoadOptions,
        shared: Shelves,
        observer: &mut impl Observer,
    ) -> Result<Self, LoadError> {
        let mut parts = Parts::read(source).await?;
        if !options.optional {
            parts.leave_out_optional();
        }
        let facts = facts(source, &parts).await?;
        let wanted = |part: Part| options.text_encoders || part != Part::Text;
        let mut kept = shared;
        let loading = Loading::new((source, &NO_LORAS), device, observer, &facts.components, wanted, &mut kept);
        let loading = &mut loading.in_precision(options.precision);
        let texts = match options.text_encoders {
            true => Some(parts.load_texts(loading).await?),
            false => None,
        };
        let denoiser = parts.load_denoiser(loading).await?;
        let (decoder, encoder) = parts.load_autoencoder(loading).await?;
        // No LoRA changes it.
        kept.remove("vae");
        let (device, kernels, precision) = (device.clone(), fresco_kernels::fast(), options.precision);
        let finish = Finish::default();
        let (changed, words) = (BTreeSet::new(), Vec::new());
        Ok(Self {
            facts,
            parts,
            texts,
            denoiser,
            decoder,
            encoder,
            device,
            kernels,
            kept,
            changed,
            precision,
            words,
            finish,
        })
    }

    /// What the files say.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Brings the text encoders back, from the files that the model was loaded from, without any LoRA.
    ///
    /// # Errors
    /// As [`Pipeline::load`].
    pub async fn load_text_encoders(
        &mut self,
        source: &impl Source,
        observer: &mut impl Observer,
    ) -> Result<(), LoadError> {
        self.load_text_encoders_with(source, &NO_LORAS, observer).await
    }

    /// Gives the text encoders' memory back: a prompt that was read with [`Pipeline::condition`] does not need them.
    pub fn drop_text_encoders(&mut self) {
        self.texts = None;
        let denoiser = self.parts.denoiser.class().folder();
        self.kept.retain(|folder, _| folder == denoiser);
    }

    /// A request's prompts as the denoiser takes them; before the prompt the negative one when there is guidance.
    ///
    /// # Errors
    /// The text encoders are not loaded, or a prompt is too long.
    pub fn condition(&self, params: &Params) -> Result<Conditioning, RunError> {
        told(&self.parts, self.texts.as_ref(), self.kernels, params)
    }

    pub(crate) fn denoiser(&self) -> &Denoiser {
        &self.denoiser
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
        &self.parts.schedule
    }

    pub(crate) fn latent_channels(&self) -> usize {
        self.parts.vae.latent_channels
    }

    /// Scaling and shift between the denoiser's latents and the autoencoder's.
    pub(crate) fn latent_scaling(&self) -> (f32, f32) {
        (self.parts.vae.scaling_factor, self.parts.vae.shift_factor.unwrap_or(0.0))
    }
}

impl Facts {
    /// # Errors
    /// A side that the model cannot draw, by its wire name.
    pub(crate) fn check_size(&self, width: u32, height: u32) -> Result<(), ApiError> {
        for (field, side) in [("width", width), ("height", height)] {
            if side == 0 || !side.is_multiple_of(self.side_multiple.max(1)) {
                let message = format!("{field} must be a multiple of {} in this model", self.side_multiple);
                return Err(ApiError::field(field, message));
            }
            if let Some(longest) = self.longest_side.filter(|longest| side > *longest) {
                return Err(ApiError::field(field, format!("{field} must be at most {longest} in this model")));
            }
        }
        Ok(())
    }
}

/// What text encoders tell a denoiser of a request's prompts.
fn told(
    parts: &Parts,
    texts: Option<&Texts>,
    kernels: &dyn Kernels,
    params: &Params,
) -> Result<Conditioning, RunError> {
    let asked = Asked {
        prompt: &params.prompt,
        negative: (params.guidance_scale > 1.0).then_some(params.negative_prompt.as_str()),
        width: params.width,
        height: params.height,
        clip_skip: params.clip_skip.unwrap_or_default() as usize,
    };
    if let Some(texts) = texts {
        texts.check_length(&asked).map_err(RunError::Request)?;
    }
    let told = texts.and_then(|texts| (parts.family.condition)(texts, kernels, &asked));
    told.ok_or_else(|| {
        RunError::Request(ApiError::new(ErrorCode::BadModel, "The text encoders are not loaded").at("model"))
    })
}

async fn facts(source: &impl Source, parts: &Parts) -> Result<Facts, LoadError> {
    let components = parts.components(source).await?;
    let (factor, denoiser) = (parts.vae.factor(), &parts.denoiser);
    let samplers = Sampler::ALL.iter().copied().filter(|sampler| parts.schedule.supports(*sampler)).collect();
    let pixels = |latents: usize| factor.saturating_mul(latents as u32);
    Ok(Facts {
        latent_factor: factor,
        native_side: pixels(denoiser.native_side()),
        bytes: components.iter().map(|component| component.bytes).sum(),
        family: parts.family.name,
        side_multiple: pixels(denoiser.multiple()),
        longest_side: denoiser.most().map(pixels),
        extra_channels: parts.extra_channels(),
        context: denoiser.context(),
        flow: parts.schedule.is_flow(),
        takes_style: denoiser.class().can_share(),
        sampler: parts.schedule.sampler(),
        samplers,
        components,
        work: Work::of(denoiser, &parts.vae),
    })
}

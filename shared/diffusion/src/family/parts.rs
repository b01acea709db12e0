//! The parts of a model folder: which there are, whether they fit, how large they are, and reading them one by one.

use super::{Denoiser, DenoiserConfig, Family, TextConfig, Texts, of_class, texts::Text};
use crate::{
    Device, LoadError, Observer, Source,
    config::{VaeConfig, read_json},
    model::vae::{Decoder, Encoder},
    schedule::ScheduleConfig,
    weights::{
        self, Footprint, Keeping, Kept, Precision, Progress, Weights,
        checkpoint::{self, Nothing},
        lora::{Patched, Patches},
    },
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const INDEX: &str = "model_index.json";
const VAE: &str = "vae";

/// What a part of a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Reads the prompt.
    Text,
    /// Predicts.
    Denoiser,
    /// Turns latents into pictures, and back.
    Autoencoder,
}

/// A part of a model that has weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// What it does.
    pub part: Part,
    /// Its folder.
    pub folder: String,
    /// Its weight files.
    pub files: Vec<String>,
    /// Its numbers, as its files' headers say.
    pub parameters: u64,
    /// Its files, in bytes.
    pub bytes: u64,
    /// Its weights on a device, in bytes.
    pub footprint: Footprint,
}

/// The configuration of every part, checked.
pub struct Parts {
    /// The model's family.
    pub family: &'static Family,
    /// Of the text encoders that are there, by the family's slots.
    pub texts: Vec<Option<TextConfig>>,
    /// Of the denoiser.
    pub denoiser: DenoiserConfig,
    /// Of the autoencoder.
    pub vae: VaeConfig,
    /// Of the scheduler.
    pub schedule: ScheduleConfig,
    /// Whether no negative prompt is told as zeros.
    pub zeros_for_empty: bool,
}

impl Parts {
    /// Reads every configuration file.
    ///
    /// # Errors
    /// One is missing or damaged, two do not fit each other, or something is asked for that is not built.
    pub async fn read(source: &impl Source) -> Result<Self, LoadError> {
        let index: Map<String, Value> = read_json(source, INDEX).await?;
        let family = check_index(&index)?;
        let mut texts = Vec::new();
        for slot in family.texts {
            texts.push(match class_of(&index, slot.encoder) {
                Some(_) => Some(TextConfig::read(source, slot).await?),
                None => None,
            });
        }
        let parts = Self {
            family,
            texts,
            denoiser: family.denoiser.read(source).await?,
            vae: read_json(source, &format!("{VAE}/config.json")).await?,
            schedule: ScheduleConfig::read(source).await?,
            zeros_for_empty: index.get("force_zeros_for_empty_prompt").and_then(Value::as_bool).unwrap_or(true),
        };
        parts.vae.check(&format!("{VAE}/config.json"))?;
        parts.schedule.check()?;
        (family.check)(&parts)?;
        parts.check_channels()?;
        Ok(parts)
    }

    /// Goes without the text encoders that the family can do without.
    pub fn leave_out_optional(&mut self) {
        for (text, _) in self.texts.iter_mut().zip(self.family.texts).filter(|(_, slot)| slot.optional) {
            *text = None;
        }
    }

    /// The configuration of a slot's text encoder.
    pub fn text(&self, slot: usize) -> Option<&TextConfig> {
        self.texts.get(slot)?.as_ref()
    }

    /// Width of all CLIP encoders' states together.
    pub fn text_width(&self) -> usize {
        self.texts.iter().flatten().map(TextConfig::beside).sum()
    }

    /// Channels that the denoiser takes behind the latents': a mask and a masked picture's latents.
    pub fn extra_channels(&self) -> usize {
        self.denoiser.channels().0.saturating_sub(self.vae.latent_channels)
    }

    /// Whether every level of a UNet takes states of this width.
    pub(super) fn check_context(&self, width: usize) -> Result<(), LoadError> {
        let DenoiserConfig::UNet(unet) = &self.denoiser else { return Ok(()) };
        let asked = (0..unet.block_out_channels.len()).map(|level| unet.cross_attention_dim.of(level));
        match asked.into_iter().find(|asked| *asked != width) {
            None => Ok(()),
            Some(asked) => {
                let message = format!("cross_attention_dim is {asked}, the text encoder gives {width}");
                Err(LoadError::bad(&self.denoiser.file(), message))
            }
        }
    }

    /// Latents in and out, and for inpainting a mask and a picture's latents besides (Rombach et al. 2022).
    fn check_channels(&self) -> Result<(), LoadError> {
        let (latent, channels) = (self.vae.latent_channels, self.denoiser.channels());
        if channels == (latent, latent) || channels == (2 * latent + 1, latent) {
            return Ok(());
        }
        let what = format!("(in_channels, out_channels) = {channels:?} with {latent} latent channels");
        Err(LoadError::unsupported(&self.denoiser.file(), what))
    }

    /// Every part with weights, in the order in which they run.
    ///
    /// # Errors
    /// A file is missing or is no weights file.
    pub async fn components(&self, source: &impl Source) -> Result<Vec<Component>, LoadError> {
        let mut components = Vec::new();
        for (slot, _) in self.family.texts.iter().zip(&self.texts).filter(|(_, text)| text.is_some()) {
            components.push(component(source, Part::Text, slot.encoder, "model").await?);
        }
        let folder = self.denoiser.class().folder();
        components.push(component(source, Part::Denoiser, folder, "diffusion_pytorch_model").await?);
        components.push(component(source, Part::Autoencoder, VAE, "diffusion_pytorch_model").await?);
        Ok(components)
    }

    /// Reads the text encoders.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape, a tokenizer does not fit, or the observer cancelled it.
    pub async fn load_texts(
        &self,
        load: &mut Loading<'_, impl Source, impl Observer, impl Source>,
    ) -> Result<Texts, LoadError> {
        let mut encoders = Vec::new();
        for (slot, config) in self.family.texts.iter().zip(&self.texts) {
            encoders.push(match config {
                Some(config) => Some(Text::load(slot, config, load).await?),
                None => None,
            });
        }
        Ok(Texts::new(encoders, self.zeros_for_empty, self.denoiser.context()))
    }

    /// Reads the denoiser.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape, or the observer cancelled it.
    pub async fn load_denoiser(
        &self,
        load: &mut Loading<'_, impl Source, impl Observer, impl Source>,
    ) -> Result<Denoiser, LoadError> {
        let device = load.device;
        let mut weights = load.open(self.denoiser.class().folder()).await?;
        self.denoiser.load(weights.root(), device).await
    }

    /// Reads the autoencoder's two halves.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape, or the observer cancelled it.
    pub async fn load_autoencoder(
        &self,
        load: &mut Loading<'_, impl Source, impl Observer, impl Source>,
    ) -> Result<(Decoder, Encoder), LoadError> {
        let mut weights = load.open(VAE).await?;
        Ok((Decoder::load(weights.root(), &self.vae).await?, Encoder::load(weights.root(), &self.vae).await?))
    }
}

/// Laid-out tensors of every part, by its folder.
pub type Shelves = BTreeMap<String, Kept>;

/// What is added to weights that are taken as they are.
pub static NO_LORAS: Patches<Nothing> = Patches::none();

/// Weights on their way to a device, with LoRAs from `L`.
pub struct Loading<'a, S, O, L> {
    /// Where they come from.
    pub source: &'a S,
    /// Where they go.
    pub device: &'a Device,
    /// Who hears of it.
    pub observer: &'a mut O,
    /// How far it is.
    pub progress: Progress,
    /// All parts of the model.
    pub components: &'a [Component],
    /// What is added.
    pub loras: &'a Patches<L>,
    /// What was laid out earlier, and is from now on.
    pub kept: &'a mut Shelves,
    /// In how many bits weights stay on the device.
    pub precision: Precision,
}

impl<'a, S: Source, O: Observer, L: Source> Loading<'a, S, O, L> {
    /// Nothing read so far of those of a model's parts that are `wanted`.
    pub fn new(
        (source, loras): (&'a S, &'a Patches<L>),
        device: &'a Device,
        observer: &'a mut O,
        components: &'a [Component],
        wanted: impl Fn(Part) -> bool,
        kept: &'a mut Shelves,
    ) -> Self {
        let total = components.iter().filter(|component| wanted(component.part)).map(|component| component.bytes).sum();
        let (progress, precision) = (Progress { loaded: 0, total }, Precision::F32);
        Self { source, device, observer, progress, components, loras, kept, precision }
    }

    /// The same in so many bits.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// A part's weights, by its folder.
    pub(super) async fn open(
        &mut self,
        folder: &str,
    ) -> Result<Keeping<'_, Patched<'_, Weights<'_, S, O>, L>>, LoadError> {
        let files = self.components.iter().find(|component| component.folder == folder).map(|part| &part.files);
        let files = files.ok_or_else(|| LoadError::bad(folder, "the folder has no weights"))?;
        let part =
            checkpoint::Part::of_folder(folder).ok_or_else(|| LoadError::bad(folder, "is no part of a model"))?;
        let weights = Weights::open(self.source, files, self.device, self.observer, &mut self.progress).await?;
        let kept = self.kept.entry(folder.to_owned()).or_default();
        let precision = if folder == VAE { self.precision.of_autoencoder() } else { self.precision };
        Ok(Keeping::new(Patched::new(weights, self.loras, part), kept).in_precision(precision))
    }
}

async fn component(source: &impl Source, part: Part, folder: &str, stem: &str) -> Result<Component, LoadError> {
    let files = weights::files(source, &format!("{folder}/{stem}")).await?;
    let listing = weights::listing(source, &files).await?;
    let parameters = listing.tensors.values().map(|entry| entry.shape.iter().product::<usize>() as u64).sum();
    let mut bytes = 0;
    for file in &files {
        bytes += source.len(file).await?.ok_or_else(|| LoadError::bad(file, "the file is missing"))?;
    }
    let footprint = Footprint::of(listing.tensors.values());
    Ok(Component { part, folder: folder.to_owned(), files, parameters, bytes, footprint })
}

/// The class of a part, where the folder has it.
fn class_of<'a>(index: &'a Map<String, Value>, part: &str) -> Option<&'a str> {
    index.get(part)?.get(1)?.as_str()
}

/// The folder's family; every part must be of the class that the family has.
fn check_index(index: &Map<String, Value>) -> Result<&'static Family, LoadError> {
    let class = index.get("_class_name").and_then(Value::as_str).unwrap_or_default();
    let family = of_class(class).ok_or_else(|| LoadError::unsupported(INDEX, format!("_class_name {class:?}")))?;
    if index.get("requires_aesthetics_score").and_then(Value::as_bool).unwrap_or_default() {
        return Err(LoadError::unsupported(INDEX, "requires_aesthetics_score"));
    }
    let texts = family.texts.iter().map(|slot| (slot.encoder, slot.class.class(), slot.optional));
    let others = [(family.denoiser.folder(), family.denoiser.class(), false), (VAE, "AutoencoderKL", false)];
    for (part, expected, optional) in texts.chain(others) {
        let found = class_of(index, part);
        if found != Some(expected) && !(optional && found.is_none()) {
            let found = found.unwrap_or("nothing");
            return Err(LoadError::unsupported(INDEX, format!("{part} {found} instead of {expected}")));
        }
    }
    Ok(family)
}

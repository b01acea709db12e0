//! Single-file checkpoints, seen as a diffusers folder: the pipeline reads them like any other model.
//!
//! The original layouts are renamed once, in the header; a fused matrix becomes three ranges of the
//! same file. No tensor is read before the model asks for it.

mod configs;
mod kind;
mod names;
mod sizes;

use super::{Entry, Listing, header};
use crate::{LoadError, Source, SourceError};
pub use kind::{Kind, Part, recognise};
pub use names::{Counts, Naming, Target};
use std::{collections::BTreeMap, ops::Range};

/// A family of models: which text encoders there are, and what the scheduler's defaults are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Stable Diffusion 1.
    Sd1,
    /// Stable Diffusion 2, SD-Turbo.
    Sd2,
    /// Stable Diffusion XL.
    Sdxl,
    /// Stable Diffusion 3 and 3.5.
    Sd3,
}

impl Family {
    /// The components that a model of the family has; T5 may be left out.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Family::Sd1 | Family::Sd2 => &[Part::Unet, Part::Vae, Part::TextEncoder],
            Family::Sdxl => &[Part::Unet, Part::Vae, Part::TextEncoder, Part::TextEncoder2],
            Family::Sd3 => &[Part::Transformer, Part::Vae, Part::TextEncoder, Part::TextEncoder2],
        }
    }
}

/// One or several files as a diffusers folder. What they do not hold, such as a tokenizer, comes from
/// the folder `beside`.
pub struct Checkpoint<S, B> {
    source: S,
    beside: B,
    family: Option<Family>,
    inpainting: bool,
    components: BTreeMap<Part, Listing>,
    configs: BTreeMap<String, Vec<u8>>,
}

/// No folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Source for Nothing {
    async fn len(&self, _file: &str) -> Result<Option<u64>, SourceError> {
        Ok(None)
    }

    async fn read(&self, file: &str, _range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        Err(SourceError::new(file, "the file is missing"))
    }
}

impl<S: Source, B: Source> Checkpoint<S, B> {
    /// Reads the headers of `files` of `source`: one checkpoint, or a denoiser with text encoders
    /// and autoencoder beside it. A component that is in several files comes from the last of them.
    /// Files without a denoiser, such as an autoencoder alone, take the place of the components of
    /// the model in `beside`, whose configuration counts.
    ///
    /// # Errors
    /// A file is damaged, is no model, or there is no denoiser that is built.
    pub async fn open(source: S, files: &[String], beside: B) -> Result<Self, LoadError> {
        let mut components = BTreeMap::new();
        let mut notes = BTreeMap::new();
        for file in files {
            let header = header::read(&source, file).await?;
            match recognise(&header.tensors) {
                Kind::Model => {}
                kind => return Err(LoadError::bad(file, format!("is no model: {}", describe(kind)))),
            }
            // Checkpoints of XL that predict velocity carry an empty tensor that says so.
            if header.tensors.contains_key("v_pred") {
                notes.insert("modelspec.prediction_type".to_owned(), "v".to_owned());
            }
            notes.extend(header.notes);
            components.extend(listings(file, &header.tensors)?);
        }
        let main = files.first().map_or("", String::as_str);
        let family = match sizes::family(main, &components) {
            Ok(family) => Some(family),
            Err(_) if !sizes::has_denoiser(&components) && beside.len("model_index.json").await?.is_some() => None,
            Err(error) => return Err(error),
        };
        let hint = notes.get("modelspec.prediction_type").map(String::as_str);
        let configs = match family {
            Some(family) => {
                let velocity = configs::predicts_velocity(&source, family, &components, hint).await?;
                let with_t5 = components.contains_key(&Part::TextEncoder3)
                    || beside.len(&format!("{}/config.json", Part::TextEncoder3.folder())).await?.is_some();
                configs::all(family, &components, velocity, with_t5)
            }
            None => BTreeMap::new(),
        };
        let enter = components.get(&Part::Unet).and_then(|unet| unet.shape("conv_in.weight"));
        let inpainting = enter.is_some_and(|shape| shape.get(1) == Some(&9));
        Ok(Self { source, beside, family, inpainting, components, configs })
    }

    /// The family; `None` when the folder beside has the denoiser.
    pub fn family(&self) -> Option<Family> {
        self.family
    }

    /// Whether the denoiser takes a mask and a masked picture besides the latents.
    pub fn inpainting(&self) -> bool {
        self.inpainting
    }

    /// Width of the prompt's states that the denoiser takes; 0 where the files hold no denoiser.
    pub fn context(&self) -> usize {
        let side = |part: Part, name: &str| self.components.get(&part).map_or(0, |listing| listing.side(name, 1));
        let unet = side(Part::Unet, "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight");
        unet.max(side(Part::Transformer, "context_embedder.weight"))
    }

    /// Channels of the latents that the denoiser gives; 0 where the files hold no denoiser.
    pub fn latent_channels(&self) -> usize {
        let side = |part: Part, name: &str, axis| self.components.get(&part).map_or(0, |l| l.side(name, axis));
        let patch = side(Part::Transformer, "pos_embed.proj.weight", 2).max(1);
        let transformer = side(Part::Transformer, "proj_out.weight", 0) / (patch * patch);
        transformer.max(side(Part::Unet, "conv_out.weight", 0))
    }

    /// Takes the model for one that was distilled to a few steps, which no header tells.
    pub fn take_as_distilled(&mut self) {
        if let Some(family) = self.family {
            self.configs.insert(configs::SCHEDULER.to_owned(), configs::distilled(family));
        }
    }

    /// The components that the files hold, with their tensors.
    pub fn components(&self) -> &BTreeMap<Part, Listing> {
        &self.components
    }

    /// The family's components that no file holds: the folder beside must have them.
    pub fn missing(&self) -> Vec<Part> {
        let absent = |part: &&Part| !self.components.contains_key(part);
        self.family.map_or(&[][..], Family::parts).iter().filter(absent).copied().collect()
    }

    /// Whether the folder beside has a tokenizer of this name.
    async fn has_tokenizer(&self, folder: &str) -> Result<bool, SourceError> {
        for name in ["vocab.json", "tokenizer.json", "spiece.model"] {
            if self.beside.len(&format!("{folder}/{name}")).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<S: Source, B: Source> Source for Checkpoint<S, B> {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        if let Some(config) = self.configs.get(file) {
            return Ok(Some(config.len() as u64));
        }
        if let Some(listing) = self.listing(file) {
            return Ok(Some(listing.bytes()));
        }
        let folder = file.split('/').next().unwrap_or_default();
        // Text encoders that are not used need no tokenizer: theirs is asked for only after them.
        if folder.starts_with("tokenizer") && !self.has_tokenizer(folder).await? {
            let need = "a single-file checkpoint holds no tokenizer: \
                        give the folder of an installed model of the same family";
            return Err(SourceError::new(folder, need));
        }
        self.beside.len(file).await
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        if let Some(config) = self.configs.get(file) {
            let part = config.get(range.start as usize..range.end as usize);
            return part.map(<[u8]>::to_vec).ok_or_else(|| SourceError::new(file, "is truncated"));
        }
        let ours =
            self.components.values().flat_map(|listing| listing.tensors.values()).any(|entry| entry.file == file);
        match ours {
            true => self.source.read(file, range).await,
            false => self.beside.read(file, range).await,
        }
    }

    fn listing(&self, file: &str) -> Option<&Listing> {
        let found = self.components.iter().find(|(part, _)| part.file() == file);
        found.map(|(_, listing)| listing).or_else(|| self.beside.listing(file))
    }
}

/// What a file is that is no model.
fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Model => "a model",
        Kind::Lora => "it is a LoRA, which is applied to a model",
        Kind::Embedding => "it is a textual-inversion embedding, which a prompt names",
        Kind::Taesd => "it is a tiny autoencoder, which gives previews",
        Kind::Upscaler => "it is an upscaler",
        Kind::ControlNet => "it is a ControlNet, which is not built",
        Kind::Unknown => "its tensors are of no known kind",
    }
}

/// The components of a file under the names that the models ask for.
pub fn listings(file: &str, tensors: &BTreeMap<String, Entry>) -> Result<BTreeMap<Part, Listing>, LoadError> {
    let mut components = BTreeMap::new();
    for section in kind::sections(tensors) {
        let inside = || tensors.iter().filter_map(|(name, entry)| Some((name.strip_prefix(section.prefix)?, entry)));
        let names: Vec<&str> = inside().map(|(name, _)| name).collect();
        let counts = Counts::of(names.iter().copied());
        let mut listing = Listing { file: file.to_owned(), ..Listing::default() };
        for (name, entry) in inside() {
            if let Some(target) = section.naming.target(name, counts) {
                let found = target.apply(entry.clone())?;
                listing.tensors.extend(found.into_iter().map(|(name, entry)| squeezed(name, entry)));
            }
        }
        let width = sizes::text_width(&listing).unwrap_or_default();
        components.insert(kind::text_part(section.part, width), listing);
    }
    Ok(components)
}

/// Shapes that the original layouts, or ggml, write in another number of dimensions.
fn squeezed(name: String, entry: Entry) -> (String, Entry) {
    let shape = match entry.shape[..] {
        // The autoencoder's attention is 1x1 convolutions in the original, linear in diffusers.
        [rows, columns, 1, 1] if name.contains("mid_block.attentions.0.to_") => Some(vec![rows, columns]),
        // ggml drops sides of 1 at the front.
        [positions, width] if name == "pos_embed.pos_embed" => Some(vec![1, positions, width]),
        _ => None,
    };
    match shape {
        Some(shape) => (name, entry.shaped(shape)),
        None => (name, entry),
    }
}

//! The text encoders of a model: each with its tokenizer, in the order of its family's slots.

use crate::{
    Device, LoadError, Source,
    config::{ClipConfig, SIZES, read_json},
    model::{
        Linear,
        clip::{Clip, Encoded},
    },
    tokenizer::Tokenizer,
    weights::{Load, Scope},
};
use fresco_kernels::Kernels;
use serde::Deserialize;

/// A place for a text encoder in a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The encoder's folder.
    pub encoder: &'static str,
    /// The tokenizer's folder.
    pub tokenizer: &'static str,
    /// What it is.
    pub class: TextClass,
    /// Whether the model runs without it.
    pub optional: bool,
}

/// The kinds of text encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextClass {
    /// CLIP.
    Clip,
    /// CLIP whose pooled output goes through one more matrix.
    ProjectedClip,
    /// T5.
    T5,
}

impl TextClass {
    /// Its class in `model_index.json`.
    pub fn class(self) -> &'static str {
        match self {
            TextClass::Clip => "CLIPTextModel",
            TextClass::ProjectedClip => "CLIPTextModelWithProjection",
            TextClass::T5 => "T5EncoderModel",
        }
    }
}

/// The configuration of a CLIP text encoder.
#[derive(Clone, Debug, Deserialize)]
pub struct TextConfig {
    /// The encoder.
    #[serde(flatten)]
    pub clip: ClipConfig,
    /// Width of the pooled output behind the projection.
    #[serde(default)]
    pub projection_dim: Option<usize>,
}

impl TextConfig {
    /// Reads a slot's configuration and checks it.
    pub(super) async fn read(source: &impl Source, slot: &Slot) -> Result<Self, LoadError> {
        let file = format!("{}/config.json", slot.encoder);
        let mut config: Self = read_json(source, &file).await?;
        config.clip.check(&file)?;
        match (slot.class, config.projection_dim) {
            // Without the matrix the width says nothing.
            (TextClass::Clip, _) => config.projection_dim = None,
            (_, Some(1..=16_384)) => {}
            (_, other) => return Err(LoadError::bad(&file, format!("projection_dim {other:?}"))),
        }
        Ok(config)
    }
}

/// What a run asks of the text encoders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked<'a> {
    /// What the picture shows.
    pub prompt: &'a str,
    /// What it does not show; none without guidance.
    pub negative: Option<&'a str>,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl<'a> Asked<'a> {
    /// The negative prompt where there is one, then the prompt.
    pub fn prompts(&self) -> Vec<&'a str> {
        self.negative.into_iter().chain([self.prompt]).collect()
    }

    /// A prompt's size numbers, for every prompt: the original's height and width, nothing cut off above and left,
    /// height and width that are asked for.
    pub fn sizes(&self) -> Vec<f32> {
        let (height, width) = (self.height as f32, self.width as f32);
        let one: [f32; SIZES] = [height, width, 0.0, 0.0, height, width];
        one.repeat(self.prompts().len())
    }
}

/// A text encoder with its tokenizer.
pub struct Text {
    tokenizer: Tokenizer,
    clip: Clip,
    projection: Option<Linear>,
}

impl Text {
    /// Reads the encoder from its file's root.
    pub(super) async fn load(
        mut root: Scope<'_, impl Load>,
        tokenizer: Tokenizer,
        config: &TextConfig,
        device: &Device,
    ) -> Result<Self, LoadError> {
        let projection = match config.projection_dim {
            Some(to) => Some(root.at("text_projection").linear(config.clip.hidden_size, to, false).await?),
            None => None,
        };
        Ok(Self { tokenizer, projection, clip: Clip::load(root, config.clip.clone(), device).await? })
    }

    fn encode(&self, k: &dyn Kernels, texts: &[&str]) -> Encoded {
        let ids: Vec<_> = texts.iter().map(|text| self.tokenizer.encode(text, self.clip.length())).collect();
        let encoded = self.clip.forward(k, &ids);
        let pooled = match &self.projection {
            Some(projection) => projection.rows(encoded.pooled),
            None => encoded.pooled,
        };
        Encoded { pooled, ..encoded }
    }
}

/// Every text encoder of a model.
pub struct Texts {
    /// CLIP's, in the order of the family's slots.
    clips: Vec<Text>,
    zeros_for_empty: bool,
    context: usize,
}

impl Texts {
    pub(super) fn new(clips: Vec<Text>, zeros_for_empty: bool, context: usize) -> Self {
        Self { clips, zeros_for_empty, context }
    }

    /// What the family's CLIP number `i` says about some texts; its pooled output is projected where there is a
    /// projection.
    pub(super) fn encode(&self, i: usize, k: &dyn Kernels, texts: &[&str]) -> Encoded {
        self.clips[i].encode(k, texts)
    }

    /// Whether no negative prompt is told as zeros.
    pub(super) fn zeros_for_empty(&self) -> bool {
        self.zeros_for_empty
    }

    /// Width of the states that the denoiser takes.
    pub(super) fn context(&self) -> usize {
        self.context
    }
}

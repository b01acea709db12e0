//! The text encoders of a model: each with its tokenizer, in the order of its family's slots.

use super::Loading;
use crate::{
    LoadError, Observer, Source,
    config::{ClipConfig, SIZES, T5Config, read_json},
    model::{
        clip::{Clip, Layer},
        t5::T5,
    },
    prompt::{self, Embedding, Prompt},
    tokenizer::{Tokenizer, Unigram},
};
use burn::tensor::Tensor;
use fresco_api::{ApiError, limits};
use fresco_kernels::Kernels;

/// The matrix behind CLIP's pooled output.
const PROJECTION: &str = "text_projection.weight";

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

/// A text encoder's configuration.
#[derive(Clone, Debug)]
pub enum TextConfig {
    /// Of CLIP.
    Clip(ClipConfig),
    /// Of CLIP with a projection.
    ProjectedClip(ClipConfig),
    /// Of T5.
    T5(T5Config),
}

impl TextConfig {
    /// Reads a slot's configuration and checks it.
    pub(super) async fn read(source: &impl Source, slot: &Slot) -> Result<Self, LoadError> {
        let file = format!("{}/config.json", slot.encoder);
        if slot.class == TextClass::T5 {
            let config: T5Config = read_json(source, &file).await?;
            config.check(&file)?;
            return Ok(Self::T5(config));
        }
        let config: ClipConfig = read_json(source, &file).await?;
        config.check(&file)?;
        Ok(if slot.class == TextClass::Clip { Self::Clip(config) } else { Self::ProjectedClip(config) })
    }

    /// Width of a CLIP's states; T5's stand behind them, not beside.
    pub(crate) fn beside(&self) -> usize {
        match self {
            Self::Clip(config) | Self::ProjectedClip(config) => config.hidden_size,
            Self::T5(_) => 0,
        }
    }

    /// Width of the projected output, where there is one.
    pub(super) fn projected(&self) -> Option<usize> {
        match self {
            Self::ProjectedClip(config) => Some(config.projection_dim),
            _ => None,
        }
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
    /// Blocks of a text encoder that are left out, as AUTOMATIC1111 counts: 0 and 1 leave that to the family.
    pub clip_skip: usize,
}

impl Asked<'_> {
    /// The negative prompt where there is one, then the prompt.
    pub fn prompts(&self) -> Vec<Prompt> {
        self.negative.into_iter().chain([self.prompt]).map(prompt::parse).collect()
    }

    /// A prompt's size numbers, for every prompt: the original's height and width, nothing cut off above and left,
    /// height and width that are asked for.
    pub fn sizes(&self) -> Vec<f32> {
        let (height, width) = (self.height as f32, self.width as f32);
        let one: [f32; SIZES] = [height, width, 0.0, 0.0, height, width];
        one.repeat(1 + usize::from(self.negative.is_some()))
    }
}

/// A text encoder with its tokenizer.
pub enum Text {
    /// CLIP.
    Clip(Box<Tokenizer>, Box<Clip>),
    /// T5.
    T5(Box<Unigram>, Box<T5>),
}

impl Text {
    /// Reads a slot's tokenizer and its encoder.
    pub(super) async fn load(
        slot: &Slot,
        config: &TextConfig,
        load: &mut Loading<'_, impl Source, impl Observer, impl Source>,
    ) -> Result<Self, LoadError> {
        let (source, device) = (load.source, load.device);
        let clip = match config {
            TextConfig::Clip(clip) | TextConfig::ProjectedClip(clip) => clip,
            TextConfig::T5(config) => {
                let tokenizer = Unigram::load(source, slot.tokenizer).await?;
                tokenizer.check_fits(config.vocab_size)?;
                let mut weights = load.open(slot.encoder).await?;
                let encoder = T5::load(weights.root(), config.clone(), device).await?;
                return Ok(Self::T5(Box::new(tokenizer), Box::new(encoder)));
            }
        };
        let tokenizer = Tokenizer::load(source, slot.tokenizer).await?;
        tokenizer.check_fits(clip.vocab_size)?;
        let mut weights = load.open(slot.encoder).await?;
        if config.projected().is_some() && !weights.root().has(PROJECTION) {
            return Err(LoadError::MissingTensor { file: slot.encoder.to_owned(), tensor: PROJECTION.to_owned() });
        }
        let encoder = Clip::load(weights.root(), clip.clone(), device).await?;
        Ok(Self::Clip(Box::new(tokenizer), Box::new(encoder)))
    }
}

/// What CLIP says about a batch of prompts.
pub(super) struct Said {
    /// The layer's states, `[n, tokens, width]`.
    pub states: Tensor<3>,
    /// One vector a prompt, projected where there is a projection.
    pub pooled: Tensor<2>,
}

/// Every text encoder of a model.
pub struct Texts {
    /// By the family's slots; none where an optional one is missing.
    encoders: Vec<Option<Text>>,
    zeros_for_empty: bool,
    context: usize,
}

impl Texts {
    pub(super) fn new(encoders: Vec<Option<Text>>, zeros_for_empty: bool, context: usize) -> Self {
        Self { encoders, zeros_for_empty, context }
    }

    /// What the CLIPs of the family's slots say about some prompts, side by side: as many windows of tokens in each
    /// as the longest prompt needs.
    pub(super) fn clips(&self, k: &dyn Kernels, prompts: &[Prompt], layer: Layer) -> Vec<Said> {
        let say = |text: &Text| {
            let Text::Clip(tokenizer, clip) = text else { return None };
            let encoding = clip.encode(k, &tokenizer.batch(prompts, clip.length()), layer);
            let pooled = encoding.projected.unwrap_or(encoding.pooled);
            Some(Said { states: encoding.states, pooled })
        };
        self.encoders.iter().flatten().filter_map(say).collect()
    }

    /// The windows that a prompt fills in the CLIP that cuts it finest; 0 where there is none.
    pub(super) fn windows(&self, prompt: &Prompt) -> usize {
        let count = |text: &Text| match text {
            Text::Clip(tokenizer, clip) => tokenizer.windows(prompt, clip.length()).len(),
            Text::T5(..) => 0,
        };
        self.encoders.iter().flatten().map(count).max().unwrap_or_default()
    }

    /// Teaches every CLIP these words, and none that it knew before.
    ///
    /// # Errors
    /// A word has no vectors of an encoder's width.
    pub(crate) fn teach(&mut self, words: &[Embedding]) -> Result<(), LoadError> {
        for text in self.encoders.iter_mut().flatten() {
            let Text::Clip(tokenizer, clip) = text else { continue };
            tokenizer.forget();
            clip.forget();
            words.iter().try_for_each(|word| word.teach(tokenizer, clip))?;
        }
        Ok(())
    }

    /// # Errors
    /// A prompt is too long, by its field: each window costs a run of the encoder, and every step of the denoiser
    /// looks at all of them.
    pub(crate) fn check_length(&self, asked: &Asked<'_>) -> Result<(), ApiError> {
        let fields = [("prompt", Some(asked.prompt)), ("negativePrompt", asked.negative)];
        for (field, text) in fields.into_iter().filter_map(|(field, text)| Some((field, text?))) {
            let (windows, most) = (self.windows(&prompt::parse(text)), limits::MAX_PROMPT_WINDOWS);
            if windows > most {
                let message = format!("The text fills {windows} windows of the text encoder, {most} are the most");
                return Err(ApiError::field(field, message));
            }
        }
        Ok(())
    }

    /// What T5 says, `[n, length, width]`; nothing where it is missing.
    pub(super) fn t5(&self, prompts: &[Prompt], length: usize) -> Option<Tensor<3>> {
        self.encoders.iter().flatten().find_map(|text| {
            let Text::T5(tokenizer, t5) = text else { return None };
            let windows: Vec<_> = prompts.iter().map(|prompt| tokenizer.window(prompt, length)).collect();
            Some(t5.encode(&windows))
        })
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

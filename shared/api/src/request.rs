//! A request for a picture, and the complete parameters it becomes once a model's defaults are filled in.

mod edit;
mod modes;

pub use edit::{Edit, Outpaint, ResizeMode, walked_steps};
pub use modes::{AnyRequest, Img2img, Inpaint, Mode, Request, StyleTransfer};

use crate::{
    ApiError, Lora, ModelId, ModelInfo, Post, Priority, Rng, Sampler, SamplerName, SigmaSchedule, UsedFile, limits,
};
use serde::{Deserialize, Serialize};

/// What a client asks for. Everything but the prompt may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageRequest {
    /// What the picture shows.
    #[serde(default)]
    pub prompt: String,
    /// What it should not show.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub negative_prompt: String,
    /// Pixels; a multiple of the model's latent factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels; a multiple of the model's latent factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Denoising steps, 1 to 150.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Classifier-free guidance scale; 1 and below turns guidance off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance_scale: Option<f32>,
    /// The sampler; the model's own when left out. Its name may carry the scheduler: `DPM++ 2M Karras`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerName>,
    /// How noise levels lie; as the sampler's name or the model says when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<SigmaSchedule>,
    /// How much fresh noise DDIM adds, 0 to 1: 0, when left out, adds none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f32>,
    /// Which random numbers the seed stands for; `cpu` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rng: Option<Rng>,
    /// Which of the text encoder's last blocks are left out, as A1111 counts: 1, or none, leaves out what the model
    /// does by itself, 2 one block more; at most 12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_skip: Option<u32>,
    /// LoRAs of the engine's library, besides those that the prompt names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<Lora>,
    /// The seed of the initial noise; drawn at random when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The catalogue entry; the default model when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// What is done to the finished picture.
    #[serde(default, skip_serializing_if = "Post::is_nothing")]
    pub post: Post,
    /// Whether small pictures of the run so far are wanted as events; making them takes a little time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// Which of the caller's jobs go first; `normal` when left out. Only a queue looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// How the answer has its pictures. Only a server looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<PictureForm>,
}

/// How a job's result has its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PictureForm {
    /// As paths from where they are fetched.
    Links,
    /// As data URLs.
    Inline,
}

/// A request with nothing left open: the same parameters give the same picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// What the picture shows.
    pub prompt: String,
    /// What it should not show; may be empty.
    pub negative_prompt: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance scale.
    pub guidance_scale: f32,
    /// The sampler.
    pub sampler: Sampler,
    /// How noise levels lie.
    #[serde(default, skip_serializing_if = "SigmaSchedule::is_default")]
    pub scheduler: SigmaSchedule,
    /// How much fresh noise DDIM adds, 0 to 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub eta: f32,
    /// Which random numbers the seed stands for.
    #[serde(default, skip_serializing_if = "Rng::is_default")]
    pub rng: Rng,
    /// Which of the text encoder's last blocks are left out, as A1111 counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_skip: Option<u32>,
    /// LoRAs of the engine's library, besides those that the prompt names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<Lora>,
    /// Every file besides the model's own that the picture is made with, by its content. The engine notes them; a
    /// request does not say them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<UsedFile>,
    /// The seed of the initial noise.
    pub seed: u64,
    /// The catalogue entry.
    pub model: ModelId,
    /// What is done to the finished picture.
    #[serde(default, skip_serializing_if = "Post::is_nothing")]
    pub post: Post,
    /// What is done with pictures, when there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub edit: Option<Edit>,
}

impl ImageRequest {
    /// Fills in the model's defaults and checks every bound, before anything is allocated.
    ///
    /// `random_seed` is used when the request has no seed.
    ///
    /// # Errors
    /// The first field that cannot be used, by its wire name.
    pub fn resolve(&self, model: &ModelInfo, random_seed: u64) -> Result<Params, ApiError> {
        let params = self.filled(model, random_seed);
        params.check(model)?;
        Ok(params)
    }

    /// The model's defaults filled in, nothing checked.
    fn filled(&self, model: &ModelInfo, random_seed: u64) -> Params {
        let sampler = self.sampler.unwrap_or(model.default_sampler.into());
        Params {
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            width: self.width.unwrap_or(model.default_side),
            height: self.height.unwrap_or(model.default_side),
            steps: self.steps.unwrap_or(model.default_steps),
            guidance_scale: self.guidance_scale.unwrap_or(model.default_guidance),
            sampler: sampler.sampler,
            // What is said on its own counts more than what a name carries.
            scheduler: self.scheduler.or(sampler.scheduler).unwrap_or_default(),
            eta: self.eta.unwrap_or(0.0),
            rng: self.rng.unwrap_or_default(),
            clip_skip: self.clip_skip,
            loras: self.loras.clone(),
            used: Vec::new(),
            seed: self.seed.unwrap_or(random_seed),
            model: model.id.clone(),
            post: self.post,
            edit: None,
        }
    }
}

impl Params {
    fn check(&self, model: &ModelInfo) -> Result<(), ApiError> {
        // A style needs no words.
        let wordless = matches!(self.edit, Some(Edit::StyleTransfer { .. }));
        if self.prompt.trim().is_empty() && !wordless {
            return Err(ApiError::field("prompt", "Prompt is required"));
        }
        check_length("prompt", &self.prompt)?;
        check_length("negativePrompt", &self.negative_prompt)?;
        if self.negative_prompt.contains("<lora:") {
            return Err(ApiError::field("negativePrompt", "A LoRA is named in the prompt, not in the negative prompt"));
        }
        check_side("width", self.width, model)?;
        check_side("height", self.height, model)?;
        if !(limits::MIN_STEPS..=limits::MAX_STEPS).contains(&self.steps) {
            let message = format!("Steps must be {} to {}, not {}", limits::MIN_STEPS, limits::MAX_STEPS, self.steps);
            return Err(ApiError::field("steps", message));
        }
        // The range test is false for NaN, so NaN is refused here too.
        if !(0.0..=limits::MAX_GUIDANCE).contains(&self.guidance_scale) {
            let message = format!("Guidance scale must be 0 to {}, not {}", limits::MAX_GUIDANCE, self.guidance_scale);
            return Err(ApiError::field("guidanceScale", message));
        }
        self.check_texts()?;
        self.post.check((self.width, self.height))?;
        self.check_mode(model)?;
        self.check_sampler(model)
    }

    fn check_texts(&self) -> Result<(), ApiError> {
        if let Some(skip) = self.clip_skip.filter(|skip| !(1..=limits::MAX_CLIP_SKIP).contains(skip)) {
            let message = format!("clipSkip must be 1 to {}, not {skip}", limits::MAX_CLIP_SKIP);
            return Err(ApiError::field("clipSkip", message));
        }
        Lora::check_all(&self.loras)
    }

    /// What is asked of pictures, and whether the model can do it.
    fn check_mode(&self, model: &ModelInfo) -> Result<(), ApiError> {
        if model.needs_mask && !matches!(self.edit, Some(Edit::Inpaint { .. })) {
            let message = format!("{} repaints a part of a picture: it needs a picture and a mask", model.id);
            return Err(ApiError::field("mask", message));
        }
        if model.no_style && matches!(self.edit, Some(Edit::StyleTransfer { .. })) {
            let message = format!("{} cannot take over a style", model.id);
            return Err(ApiError::field("styleImage", message));
        }
        self.edit.as_ref().map_or(Ok(()), |edit| edit.check(self.steps, model.flow))
    }

    fn check_sampler(&self, model: &ModelInfo) -> Result<(), ApiError> {
        let (sampler, scheduler) = (self.sampler, self.scheduler);
        if !model.samplers.contains(&sampler) {
            let known = model.samplers.iter().map(|sampler| sampler.name()).collect::<Vec<_>>().join(", ");
            let message = format!("{} cannot be sampled with {sampler}, only with {known}", model.id);
            return Err(ApiError::field("sampler", message));
        }
        let takes = |scheduler| sampler.takes(scheduler) && (!model.flow || sampler.takes_on_flow(scheduler));
        if !takes(scheduler) {
            let all = SigmaSchedule::ALL.iter().filter(|scheduler| takes(**scheduler));
            let known = all.map(|scheduler| scheduler.name()).collect::<Vec<_>>().join(", ");
            let here = if sampler.takes(scheduler) { format!(" on {}", model.id) } else { String::new() };
            let message = format!("{sampler} has no {scheduler} noise levels{here}, only {known}");
            return Err(ApiError::field("scheduler", message));
        }
        if sampler == Sampler::Lcm && self.steps > limits::MAX_LCM_STEPS {
            let message = format!("lcm takes at most {} steps, not {}", limits::MAX_LCM_STEPS, self.steps);
            return Err(ApiError::field("steps", message));
        }
        if !(0.0..=1.0).contains(&self.eta) {
            return Err(ApiError::field("eta", format!("Eta must be 0 to 1, not {}", self.eta)));
        }
        if self.eta != 0.0 && sampler != Sampler::Ddim {
            return Err(ApiError::field("eta", format!("{sampler} takes no eta, only ddim does")));
        }
        Ok(())
    }
}

fn is_zero(x: &f32) -> bool {
    *x == 0.0
}

fn check_length(field: &str, text: &str) -> Result<(), ApiError> {
    // Counted only as far as needed: the text is not trusted to be short.
    if text.chars().nth(limits::MAX_PROMPT_CHARS).is_some() {
        let message = format!("At most {} characters are read", limits::MAX_PROMPT_CHARS);
        return Err(ApiError::field(field, message));
    }
    Ok(())
}

fn check_side(field: &str, side: u32, model: &ModelInfo) -> Result<(), ApiError> {
    let (min, max) = (model.min_side, model.max_side.min(limits::MAX_SIDE));
    if !(min..=max).contains(&side) {
        return Err(ApiError::field(
            field,
            format!("{field} must be {min} to {max} pixels for {}, not {side}", model.id),
        ));
    }
    if !side.is_multiple_of(model.latent_factor.max(1)) {
        let factor = model.latent_factor;
        return Err(ApiError::field(field, format!("{field} must be a multiple of {factor} pixels, not {side}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

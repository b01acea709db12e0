//! The form as it is typed, and the request it becomes.

use fresco_api::{ApiError, ImageRequest, ModelInfo, Params};
use std::str::FromStr;

/// The fields as text, as they stand on the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// What the picture shows.
    pub prompt: String,
    /// What it should not show.
    pub negative: String,
    /// Pixels.
    pub width: String,
    /// Pixels.
    pub height: String,
    /// Denoising steps.
    pub steps: String,
    /// Classifier-free guidance scale.
    pub guidance: String,
    /// The seed; empty draws one.
    pub seed: String,
    /// The sampler's wire name; empty means the model's own.
    pub sampler: String,
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// What the picture shows.
    Prompt,
    /// What it should not show.
    Negative,
    /// Pixels.
    Width,
    /// Pixels.
    Height,
    /// Denoising steps.
    Steps,
    /// Classifier-free guidance scale.
    Guidance,
    /// The seed.
    Seed,
    /// The sampler.
    Sampler,
}

impl Field {
    /// The field's id on the page.
    pub fn id(self) -> &'static str {
        match self {
            Field::Negative => "negative",
            Field::Guidance => "guidance",
            other => other.wire(),
        }
    }

    /// The field's name in a request, which errors carry.
    pub fn wire(self) -> &'static str {
        match self {
            Field::Prompt => "prompt",
            Field::Negative => "negativePrompt",
            Field::Width => "width",
            Field::Height => "height",
            Field::Steps => "steps",
            Field::Guidance => "guidanceScale",
            Field::Seed => "seed",
            Field::Sampler => "sampler",
        }
    }
}

impl Form {
    /// A field's text.
    pub fn get(&self, field: Field) -> &str {
        match field {
            Field::Prompt => &self.prompt,
            Field::Negative => &self.negative,
            Field::Width => &self.width,
            Field::Height => &self.height,
            Field::Steps => &self.steps,
            Field::Guidance => &self.guidance,
            Field::Seed => &self.seed,
            Field::Sampler => &self.sampler,
        }
    }

    /// Puts text into a field.
    pub fn set(&mut self, field: Field, text: String) {
        *match field {
            Field::Prompt => &mut self.prompt,
            Field::Negative => &mut self.negative,
            Field::Width => &mut self.width,
            Field::Height => &mut self.height,
            Field::Steps => &mut self.steps,
            Field::Guidance => &mut self.guidance,
            Field::Seed => &mut self.seed,
            Field::Sampler => &mut self.sampler,
        } = text;
    }

    /// Fills what is still empty with the model's defaults; the seed stays open.
    pub fn fill(&mut self, model: &ModelInfo) {
        let set = |field: &mut String, value: String| {
            if field.is_empty() {
                *field = value;
            }
        };
        set(&mut self.width, model.default_side.to_string());
        set(&mut self.height, model.default_side.to_string());
        set(&mut self.steps, model.default_steps.to_string());
        set(&mut self.guidance, model.default_guidance.to_string());
        set(&mut self.sampler, model.default_sampler.name().to_owned());
    }

    /// The form that makes a picture again.
    pub fn again(params: &Params) -> Self {
        Self {
            prompt: params.prompt.clone(),
            negative: params.negative_prompt.clone(),
            width: params.width.to_string(),
            height: params.height.to_string(),
            steps: params.steps.to_string(),
            guidance: params.guidance_scale.to_string(),
            seed: params.seed.to_string(),
            sampler: params.sampler.name().to_owned(),
        }
    }

    /// Puts the numbers that a model wants into their fields; words and seed stay.
    pub fn refit(&mut self, model: &ModelInfo) {
        for field in [Field::Width, Field::Height, Field::Steps, Field::Guidance, Field::Sampler] {
            self.set(field, String::new());
        }
        self.fill(model);
    }

    /// The words and numbers of a request; their bounds are not looked at. An empty field is left to the model.
    ///
    /// # Errors
    /// The first field that is no number, by its wire name.
    pub fn image(&self, model: &ModelInfo) -> Result<ImageRequest, ApiError> {
        Ok(ImageRequest {
            prompt: self.prompt.trim().to_owned(),
            negative_prompt: self.negative.trim().to_owned(),
            width: number("width", "Width must be a whole number of pixels", &self.width)?,
            height: number("height", "Height must be a whole number of pixels", &self.height)?,
            steps: number("steps", "Steps must be a whole number", &self.steps)?,
            guidance_scale: number("guidanceScale", "Guidance must be a number", &self.guidance)?,
            sampler: number("sampler", "No such sampler", &self.sampler)?,
            seed: number("seed", "The seed must be a whole number from 0 to 2^64 - 1, or empty", &self.seed)?,
            model: Some(model.id.clone()),
            preview: true,
            ..Default::default()
        })
    }

    /// The request of words alone, with every bound of the model kept.
    ///
    /// # Errors
    /// The first field that cannot be used, by its wire name.
    pub fn request(&self, model: &ModelInfo) -> Result<ImageRequest, ApiError> {
        let request = self.image(model)?;
        request.resolve(model, 0)?;
        Ok(request)
    }
}

fn number<T: FromStr>(field: &str, complaint: &str, text: &str) -> Result<Option<T>, ApiError> {
    match text.trim() {
        "" => Ok(None),
        some => some.parse().map(Some).map_err(|_| ApiError::field(field, format!("{complaint}, not \"{some}\""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> ModelInfo {
        let json = r#"{"id":"fresco-tiny","name":"T","description":"","demo":true,"latentFactor":4,"minSide":32,
            "maxSide":256,"defaultSide":64,"defaultSteps":8,"defaultGuidance":4.0,"bytes":1}"#;
        serde_json::from_str(json).expect("parses")
    }

    fn filled() -> Form {
        let mut form = Form { prompt: " a tent ".into(), ..Default::default() };
        form.fill(&model());
        form
    }

    #[test]
    fn a_filled_form_becomes_a_request() {
        let request = Form { seed: "18446744073709551615".into(), ..filled() }.request(&model()).expect("is accepted");
        assert_eq!(request.prompt, "a tent");
        assert_eq!((request.width, request.steps, request.seed), (Some(64), Some(8), Some(u64::MAX)));
        assert_eq!(filled().request(&model()).expect("is accepted").seed, None);
    }

    #[test]
    fn filling_keeps_what_is_typed() {
        let mut form = Form { width: "128".into(), ..Default::default() };
        form.fill(&model());
        assert_eq!((form.width.as_str(), form.height.as_str(), form.guidance.as_str()), ("128", "64", "4"));
    }

    #[test]
    fn another_model_brings_its_numbers_and_leaves_the_words() {
        let other = ModelInfo { id: "other".into(), default_side: 128, default_steps: 3, ..model() };
        let mut form = Form { seed: "7".into(), ..filled() };
        form.refit(&other);
        assert_eq!((form.width.as_str(), form.steps.as_str(), form.seed.as_str()), ("128", "3", "7"));
        assert_eq!(form.request(&other).expect("is accepted").model, Some(other.id));
    }

    #[test]
    fn each_bad_field_is_named() {
        let cases = [
            ("prompt", Form { prompt: "  ".into(), ..filled() }),
            ("width", Form { width: "511".into(), ..filled() }),
            ("height", Form { height: "tall".into(), ..filled() }),
            ("steps", Form { steps: "1000000000".into(), ..filled() }),
            ("guidanceScale", Form { guidance: "-1".into(), ..filled() }),
            ("guidanceScale", Form { guidance: "NaN".into(), ..filled() }),
            ("seed", Form { seed: "-3".into(), ..filled() }),
            ("sampler", Form { sampler: "magic".into(), ..filled() }),
        ];
        for (field, form) in cases {
            let error = form.request(&model()).expect_err("is refused");
            assert_eq!(error.field.as_deref(), Some(field));
        }
    }

    #[test]
    fn a_picture_can_be_made_again() {
        let params = filled().request(&model()).and_then(|r| r.resolve(&model(), 9)).expect("is accepted");
        let again = Form::again(&params).request(&model()).and_then(|r| r.resolve(&model(), 0)).expect("is accepted");
        assert_eq!(again, params);
    }
}

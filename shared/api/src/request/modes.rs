//! Requests that bring pictures: image to image, inpainting, style transfer.
//!
//! A picture is a PNG, JPEG or WebP file as a data URL or in bare base64: never a path and never an
//! address to fetch.

use super::{
    Edit, ImageRequest, Params,
    edit::{Outpaint, ResizeMode},
};
use crate::{ApiError, JobKind, ModelInfo};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A request with what its mode adds, all on one level: `{"prompt": …, "initImage": …, "strength": …}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request<M> {
    /// What every request has.
    #[serde(flatten)]
    pub image: ImageRequest,
    /// What this one adds.
    #[serde(flatten)]
    pub mode: M,
}

/// What a mode adds to a request.
pub trait Mode: Serialize + DeserializeOwned + Send + 'static {
    /// The job that it becomes.
    const KIND: JobKind;
    /// The names of its fields on the wire; all others are [`ImageRequest`]'s.
    const FIELDS: &'static [&'static str];

    /// The pictures that are there with their fields' names, the one first that the run starts from.
    fn pictures(&mut self) -> Vec<(&'static str, &mut String)>;

    /// What it asks for, its defaults filled in.
    fn edit(&self) -> Edit;
}

impl<M: Mode> Request<M> {
    /// As [`ImageRequest::resolve`]; `picture` is the size of the first picture in pixels.
    ///
    /// # Errors
    /// The first field that cannot be used, by its wire name.
    pub fn resolve(&self, model: &ModelInfo, random_seed: u64, picture: (u32, u32)) -> Result<Params, ApiError> {
        let edit = self.mode.edit();
        let (width, height) = edit.size(&self.image, model, picture);
        let sized = ImageRequest { width: Some(width), height: Some(height), ..self.image.clone() };
        let params = Params { edit: Some(edit), ..sized.filled(model, random_seed) };
        params.check(model)?;
        Ok(params)
    }
}

/// `POST /generate/img2img`: a picture made from a picture (Meng et al. 2021, `SDEdit`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Img2img {
    /// The picture to start from.
    pub init_image: String,
    /// How much is made anew, above 0 to 1; 0.75 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f32>,
    /// How the picture gets the request's size; without `width` and `height` that is its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize_mode: Option<ResizeMode>,
}

impl Mode for Img2img {
    const KIND: JobKind = JobKind::Img2img;
    const FIELDS: &'static [&'static str] = &["initImage", "strength", "resizeMode"];

    fn pictures(&mut self) -> Vec<(&'static str, &mut String)> {
        vec![("initImage", &mut self.init_image)]
    }

    fn edit(&self) -> Edit {
        Edit::Img2img {
            init_image: self.init_image.clone(),
            strength: self.strength.unwrap_or(0.75),
            resize_mode: self.resize_mode.unwrap_or_default(),
        }
    }
}

/// `POST /generate/inpaint`: a part of a picture made anew, or what is around it made up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inpaint {
    /// The picture.
    pub image: String,
    /// What is made anew: its transparent pixels, or its white ones when it has no transparency. Of the
    /// picture's proportions. Without a mask the picture's own transparency counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// How much is made anew there, above 0 to 1; 1 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inpainting_strength: Option<f32>,
    /// Softens the mask's edge, 0 to 64 pixels: within 2.5 times as far, old and new are mixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_blur: Option<f32>,
    /// Works on the mask's surroundings only, at the request's size, and puts them back into the
    /// picture, which keeps its own size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_masked: Option<bool>,
    /// Pixels around the mask that `onlyMasked` sees; 32 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_masked_padding: Option<u32>,
    /// Grows the canvas; what is new is made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outpaint: Option<Outpaint>,
    /// How picture and mask get the request's size; without `width` and `height` that is the canvas's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize_mode: Option<ResizeMode>,
}

impl Mode for Inpaint {
    const KIND: JobKind = JobKind::Inpaint;
    const FIELDS: &'static [&'static str] = &[
        "image",
        "mask",
        "inpaintingStrength",
        "maskBlur",
        "onlyMasked",
        "onlyMaskedPadding",
        "outpaint",
        "resizeMode",
    ];

    fn pictures(&mut self) -> Vec<(&'static str, &mut String)> {
        let mask = self.mask.as_mut().map(|mask| ("mask", mask));
        std::iter::once(("image", &mut self.image)).chain(mask).collect()
    }

    fn edit(&self) -> Edit {
        Edit::Inpaint {
            image: self.image.clone(),
            mask: self.mask.clone(),
            inpainting_strength: self.inpainting_strength.unwrap_or(1.0),
            mask_blur: self.mask_blur.unwrap_or(0.0),
            only_masked_padding: self.only_masked.unwrap_or(false).then(|| self.only_masked_padding.unwrap_or(32)),
            outpaint: self.outpaint.unwrap_or_default(),
            resize_mode: self.resize_mode.unwrap_or_default(),
        }
    }
}

/// `POST /generate/style-transfer`: a picture's content in another's style. The prompt may be empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StyleTransfer {
    /// What is shown.
    pub content_image: String,
    /// How it is shown.
    pub style_image: String,
    /// How much of the style is taken over, 0 to 1; 0.8 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style_strength: Option<f32>,
    /// How much of the content is kept, 0 to 1; 0.5 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_strength: Option<f32>,
    /// How the pictures get the request's size; without `width` and `height` that is the content's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize_mode: Option<ResizeMode>,
}

impl Mode for StyleTransfer {
    const KIND: JobKind = JobKind::StyleTransfer;
    const FIELDS: &'static [&'static str] =
        &["contentImage", "styleImage", "styleStrength", "contentStrength", "resizeMode"];

    fn pictures(&mut self) -> Vec<(&'static str, &mut String)> {
        vec![("contentImage", &mut self.content_image), ("styleImage", &mut self.style_image)]
    }

    fn edit(&self) -> Edit {
        Edit::StyleTransfer {
            content_image: self.content_image.clone(),
            style_image: self.style_image.clone(),
            style_strength: self.style_strength.unwrap_or(0.8),
            content_strength: self.content_strength.unwrap_or(0.5),
            resize_mode: self.resize_mode.unwrap_or_default(),
        }
    }
}

/// A request as it was sent, whatever its mode. Where a job shows it, its pictures are their hashes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnyRequest {
    /// With a content picture and a style picture.
    StyleTransfer(Request<StyleTransfer>),
    /// With a picture and a mask.
    Inpaint(Request<Inpaint>),
    /// With a picture.
    Img2img(Request<Img2img>),
    /// With nothing but words and numbers.
    Text2img(ImageRequest),
}

impl From<ImageRequest> for AnyRequest {
    fn from(request: ImageRequest) -> Self {
        Self::Text2img(request)
    }
}

impl From<Request<Img2img>> for AnyRequest {
    fn from(request: Request<Img2img>) -> Self {
        Self::Img2img(request)
    }
}

impl From<Request<Inpaint>> for AnyRequest {
    fn from(request: Request<Inpaint>) -> Self {
        Self::Inpaint(request)
    }
}

impl From<Request<StyleTransfer>> for AnyRequest {
    fn from(request: Request<StyleTransfer>) -> Self {
        Self::StyleTransfer(request)
    }
}

//! What a run does with the pictures it was given, with nothing left open.

use crate::{ApiError, ImageRequest, ModelInfo, limits};
use serde::{Deserialize, Serialize};

/// What a picture's proportions do when the request's are others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResizeMode {
    /// They give way, as in the reference.
    #[default]
    Stretch,
    /// They stay, and what does not fit is cut off evenly.
    Crop,
    /// They stay, and the picture's edge goes on into what is left over.
    Pad,
}

/// Pixels by which the canvas grows on each side, counted in the picture's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Outpaint {
    /// To the left.
    pub left: u32,
    /// To the top.
    pub top: u32,
    /// To the right.
    pub right: u32,
    /// To the bottom.
    pub bottom: u32,
}

impl Outpaint {
    /// Whether nothing grows.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// A picture's size on the grown canvas.
    pub fn grown(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let sum = |side: u32, before: u32, after: u32| side.saturating_add(before).saturating_add(after);
        (sum(width, self.left, self.right), sum(height, self.top, self.bottom))
    }
}

/// How a run starts from pictures. They are named by their files' hashes (`sha256:…`): with the same
/// files it gives the same picture again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Edit {
    /// From a picture with noise on it.
    Img2img {
        /// The picture.
        init_image: String,
        /// The share of the steps that are walked, above 0 to 1.
        strength: f32,
        /// How the picture gets the request's size.
        resize_mode: ResizeMode,
    },
    /// Only what a mask shows, and what the canvas grows by.
    Inpaint {
        /// The picture.
        image: String,
        /// What is made anew; the picture's transparency when there is none.
        mask: Option<String>,
        /// The share of the steps that are walked, above 0 to 1.
        inpainting_strength: f32,
        /// Deviation of the Gaussian that softens the mask's edge, in pixels.
        mask_blur: f32,
        /// With a number only the mask's region, and so many pixels around it, is worked on at the
        /// request's size and put back; the result then has the picture's own size.
        only_masked_padding: Option<u32>,
        /// What is added to the canvas.
        outpaint: Outpaint,
        /// How the picture gets the request's size.
        resize_mode: ResizeMode,
    },
    /// A picture's content in another picture's style.
    StyleTransfer {
        /// What is shown.
        content_image: String,
        /// How it is shown.
        style_image: String,
        /// How much of the style is taken over, 0 to 1.
        style_strength: f32,
        /// How much of the content is kept, 0 to 1: the share of the steps that are not walked.
        content_strength: f32,
        /// How the pictures get the request's size.
        resize_mode: ResizeMode,
    },
}

impl Edit {
    /// The size of a run: what the request says, else what the picture has, brought into the model's bounds.
    pub(crate) fn size(&self, request: &ImageRequest, model: &ModelInfo, picture: (u32, u32)) -> (u32, u32) {
        let shape = match self {
            // Here the result's size is the picture's, and the work is done at the model's.
            Edit::Inpaint { only_masked_padding: Some(_), .. } => (model.default_side, model.default_side),
            Edit::Inpaint { outpaint, .. } => outpaint.grown(picture),
            Edit::Img2img { .. } | Edit::StyleTransfer { .. } => picture,
        };
        let (w, h) = (f64::from(shape.0.max(1)), f64::from(shape.1.max(1)));
        let whole = |side: f64| {
            let factor = f64::from(model.latent_factor.max(1));
            let (least, most) = (f64::from(model.min_side) / factor, f64::from(model.max_side) / factor);
            ((side / factor).round().clamp(least.ceil(), most.floor().max(least.ceil())) * factor) as u32
        };
        match (request.width, request.height) {
            (Some(width), Some(height)) => (width, height),
            (Some(width), None) => (width, whole(f64::from(width) * h / w)),
            (None, Some(height)) => (whole(f64::from(height) * w / h), height),
            (None, None) => {
                let small = (f64::from(model.max_side) / w.max(h)).min(1.0);
                let scale = small.max(f64::from(model.min_side) / w.min(h));
                (whole(w * scale), whole(h * scale))
            }
        }
    }

    /// Whether every number is in its bounds, in a run of `steps`, of a model that predicts a `flow` or of another.
    pub(crate) fn check(&self, steps: u32, flow: bool) -> Result<(), ApiError> {
        match self {
            Edit::Img2img { strength, .. } => check_strength("strength", *strength, steps, flow),
            Edit::Inpaint { inpainting_strength, mask_blur, only_masked_padding, outpaint, .. } => {
                check_strength("inpaintingStrength", *inpainting_strength, steps, flow)?;
                check_range("maskBlur", *mask_blur, limits::MAX_MASK_BLUR)?;
                let sides = [outpaint.left, outpaint.top, outpaint.right, outpaint.bottom];
                if sides.iter().any(|side| *side > limits::MAX_SIDE) {
                    let message = format!("A canvas grows by at most {} pixels a side", limits::MAX_SIDE);
                    return Err(ApiError::field("outpaint", message));
                }
                if only_masked_padding.is_some() && !outpaint.is_nothing() {
                    let message = "What is outside the picture has no region in it: outpaint without onlyMasked";
                    return Err(ApiError::field("onlyMasked", message));
                }
                match only_masked_padding {
                    Some(padding) if *padding > limits::MAX_SIDE => {
                        let message = format!("Padding is at most {} pixels", limits::MAX_SIDE);
                        Err(ApiError::field("onlyMaskedPadding", message))
                    }
                    _ => Ok(()),
                }
            }
            Edit::StyleTransfer { style_strength, content_strength, .. } => {
                check_range("styleStrength", *style_strength, 1.0)?;
                check_range("contentStrength", *content_strength, 1.0)
            }
        }
    }
}

/// The steps that a run of `steps` walks at a strength of 0 to 1, as diffusers counts.
///
/// Stable Diffusion's pipelines walk the product without its fraction; those of flow models (Stable Diffusion 3)
/// leave out the rest without its fraction, so that a fraction is one more step.
pub fn walked_steps(steps: u32, strength: f32, flow: bool) -> u32 {
    // The reference multiplies the decimal number that was written down: 0.7 of 10 steps are 7, and
    // the f32 next to 0.7 would give 6.
    let written: f64 = strength.to_string().parse().unwrap_or_default();
    let walked = (f64::from(steps) * written).clamp(0.0, f64::from(steps));
    // No number casts to 0.
    if flow && walked > 0.0 { steps - (f64::from(steps) - walked) as u32 } else { walked as u32 }
}

fn check_strength(field: &str, strength: f32, steps: u32, flow: bool) -> Result<(), ApiError> {
    // The range test is false for NaN, so NaN is refused here too.
    if !(0.0..=1.0).contains(&strength) || walked_steps(steps, strength, flow) == 0 {
        let message = format!("{field} must be above 0 to 1 and leave a step of {steps}; {strength} does not");
        return Err(ApiError::field(field, message));
    }
    Ok(())
}

fn check_range(field: &str, value: f32, most: f32) -> Result<(), ApiError> {
    if (0.0..=most).contains(&value) {
        return Ok(());
    }
    Err(ApiError::field(field, format!("{field} must be 0 to {most}, not {value}")))
}

#[cfg(test)]
mod tests;

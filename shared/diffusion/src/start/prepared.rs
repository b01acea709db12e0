//! From the pictures of a request to what a run starts from, and from its result to what was asked for.

use super::{
    Mask, Start, canvas,
    region::Region,
    resize::{self, Size},
};
use crate::{Picture, style::Style};
use fresco_api::{ApiError, Edit, ErrorCode, Outpaint, Params, ResizeMode, limits};

/// A picture as its file had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its colours.
    pub picture: Picture,
    /// A byte a pixel, 255 is opaque; nothing when all of it is.
    pub alpha: Option<Vec<u8>>,
}

/// Everything that a run of [`Params`] with an [`Edit`] needs besides them.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The picture to start from, of the request's size.
    picture: Picture,
    strength: f32,
    mask: Option<Mask>,
    style: Option<Style>,
    frame: Option<Frame>,
}

/// What a region was cut from.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    picture: Picture,
    mask: Mask,
    region: Region,
}

impl Prepared {
    /// Brings the pictures into the run's form. `inputs` are those of [`fresco_api::Mode::pictures`], in
    /// that order.
    ///
    /// # Errors
    /// A picture that cannot be used, by its field; or there are other pictures than `params.edit` says.
    pub fn new(params: &Params, inputs: Vec<Input>) -> Result<Self, ApiError> {
        let size = (params.width, params.height);
        for input in &inputs {
            input.check()?;
        }
        let mut inputs = inputs.into_iter();
        let prepared = match (&params.edit, inputs.next(), inputs.next()) {
            (Some(Edit::Img2img { strength, resize_mode, .. }), Some(image), None) => {
                Self::plain(resize::fit(&image.flat(), size, *resize_mode), *strength)
            }
            (
                Some(Edit::StyleTransfer { style_strength, content_strength, resize_mode, .. }),
                Some(image),
                Some(style),
            ) => {
                let style =
                    Style { picture: resize::fit(&style.flat(), size, *resize_mode), strength: *style_strength };
                let strength = 1.0 - content_strength;
                Self { style: Some(style), ..Self::plain(resize::fit(&image.flat(), size, *resize_mode), strength) }
            }
            (Some(edit @ Edit::Inpaint { .. }), Some(image), mask) => {
                Self::inpaint(edit, image, mask, size, params.seed)?
            }
            _ => return Err(ApiError::new(ErrorCode::Internal, "The job's pictures are not those of its parameters")),
        };
        Ok(prepared)
    }

    fn plain(picture: Picture, strength: f32) -> Self {
        Self { picture, strength, mask: None, style: None, frame: None }
    }

    fn inpaint(edit: &Edit, image: Input, mask: Option<Input>, size: Size, seed: u64) -> Result<Self, ApiError> {
        let Edit::Inpaint {
            inpainting_strength: strength, mask_blur, only_masked_padding, outpaint, resize_mode, ..
        } = edit
        else {
            return Err(ApiError::new(ErrorCode::Internal, "This is no inpainting"));
        };
        let from = (image.picture.width, image.picture.height);
        check_canvas(outpaint.grown(from))?;
        let mask = canvas::grown_mask(from, image.mask(mask, outpaint)?.as_ref(), *outpaint);
        let Some(padding) = only_masked_padding else {
            let picture = canvas::grown(&image.picture, *outpaint, seed);
            // What was put on the new canvas to begin with must not show through a soft edge.
            let new = canvas::grown_mask(from, None, *outpaint).fitted(size, *resize_mode);
            let mask = mask.fitted(size, *resize_mode).softened(*mask_blur).at_least(&new);
            let picture = resize::fit(&picture, size, *resize_mode);
            return Ok(Self { mask: Some(mask), ..Self::plain(picture, *strength) });
        };
        let (picture, mask) = (image.picture, mask.softened(*mask_blur));
        let region = mask.bounds().ok_or_else(|| ApiError::field("mask", "The mask shows nothing to paint"))?;
        let region = region.widened(*padding, size, (picture.width, picture.height));
        let (part, part_mask) = (region.picture(&picture, size), region.mask(&mask, size));
        Ok(Self { mask: Some(part_mask), frame: Some(Frame { picture, mask, region }), ..Self::plain(part, *strength) })
    }

    /// What a run starts from.
    pub fn start(&self) -> Start<'_> {
        Start { picture: &self.picture, strength: self.strength, mask: self.mask.as_ref(), style: self.style.as_ref() }
    }

    /// What was asked for, from what the run gave.
    pub fn finish(&self, picture: Picture) -> Picture {
        match &self.frame {
            Some(frame) => frame.region.paste(&picture, &frame.picture, &frame.mask),
            None => picture,
        }
    }

    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let mask = |mask: &Mask| mask.repaint.len();
        let frame = self.frame.as_ref().map_or(0, |frame| frame.picture.rgb.len() + mask(&frame.mask));
        let style = self.style.as_ref().map_or(0, |style| style.picture.rgb.len());
        self.picture.rgb.len() + self.mask.as_ref().map_or(0, mask) + style + frame
    }
}

impl Input {
    /// Whether there are as many bytes as pixels.
    fn check(&self) -> Result<(), ApiError> {
        let pixels = self.picture.width as usize * self.picture.height as usize;
        let whole = pixels > 0 && self.picture.rgb.len() == 3 * pixels;
        if whole && self.alpha.as_ref().is_none_or(|alpha| alpha.len() == pixels) {
            return Ok(());
        }
        Err(ApiError::new(ErrorCode::Internal, "A picture has fewer bytes than pixels"))
    }

    /// The picture on white, which is what most viewers show.
    fn flat(self) -> Picture {
        let Some(alpha) = self.alpha else { return self.picture };
        let mut picture = self.picture;
        for (pixel, alpha) in picture.rgb.as_chunks_mut::<3>().0.iter_mut().zip(alpha) {
            let share = u32::from(alpha);
            *pixel = pixel.map(|value| ((u32::from(value) * share + 255 * (255 - share) + 127) / 255) as u8);
        }
        picture
    }

    /// What is to be made anew of this picture, at its own size: what `mask` says, else its own
    /// transparency, else nothing, which will do only where the canvas grows.
    fn mask(&self, mask: Option<Self>, outpaint: &Outpaint) -> Result<Option<Mask>, ApiError> {
        let size = (self.picture.width, self.picture.height);
        let mask = match (mask, &self.alpha) {
            (Some(mask), _) => {
                let shape = (mask.picture.width, mask.picture.height);
                if !same_shape(shape, size) {
                    let message = format!(
                        "The mask is {} x {} pixels and the image {} x {}: they must have the same proportions",
                        shape.0, shape.1, size.0, size.1
                    );
                    return Err(ApiError::field("mask", message));
                }
                let marked = match &mask.alpha {
                    Some(alpha) => Mask::of_transparency(shape, alpha),
                    None => Mask::of_brightness(&mask.picture),
                };
                Some(marked.fitted(size, ResizeMode::Stretch))
            }
            (None, Some(alpha)) => Some(Mask::of_transparency(size, alpha)),
            (None, None) => None,
        };
        let shown = mask.as_ref().is_some_and(|mask| mask.repaint.contains(&255));
        if shown || !outpaint.is_nothing() {
            return Ok(mask);
        }
        let message = match mask {
            Some(_) => "The mask shows nothing to paint: white or transparent is painted, black is kept",
            None => "A mask is needed: a picture whose white is painted, or transparent places in the image",
        };
        Err(ApiError::field("mask", message))
    }
}

/// Whether two sizes have the same proportions, but for the rounding of a pixel: at most a twentieth, which a pixel
/// of a tiny picture is more than.
fn same_shape(a: Size, b: Size) -> bool {
    let [aw, ah, bw, bh] = [a.0, a.1, b.0, b.1].map(i64::from);
    let (one, other) = (aw * bh, ah * bw);
    let off = (one - other).abs();
    off <= aw.max(ah).max(bw).max(bh) && off * 20 <= one.max(other)
}

fn check_canvas((width, height): Size) -> Result<(), ApiError> {
    if u64::from(width) * u64::from(height) <= limits::MAX_PIXELS {
        return Ok(());
    }
    let message = format!("The canvas would be {width} x {height} pixels; {} are the most", limits::MAX_PIXELS);
    Err(ApiError::field("outpaint", message))
}

#[cfg(test)]
mod tests;

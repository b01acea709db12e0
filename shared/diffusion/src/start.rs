//! Where a run starts from when not from noise alone: a picture, and what of it may change.

mod canvas;
mod mask;
mod prepared;
mod region;
mod resize;

pub use mask::Mask;
pub use prepared::{Input, Prepared};

use crate::{Latents, Picture, noise::Generator, style::Style};
use fresco_api::{ApiError, walked_steps};

/// A picture to start from (Meng et al. 2021, `SDEdit`), and what of it may change.
pub struct Start<'a> {
    /// The picture, of the request's size.
    pub picture: &'a Picture,
    /// How much is made anew, above 0 to 1: the share of the steps that are walked.
    pub strength: f32,
    /// What is made anew (Lugmayr et al. 2022 in its simplest form: the rest is put back after each
    /// step); everything when there is none.
    pub mask: Option<&'a Mask>,
    /// What the result is to look like; one step at least is walked then.
    pub style: Option<&'a Style>,
}

impl Start<'_> {
    /// The first step that is walked of `steps`, as diffusers counts for a model that predicts a `flow` or another.
    ///
    /// # Errors
    /// The picture or mask has another size than `size` (width, height), or the strength leaves no step.
    pub(crate) fn first_step(&self, size: (u32, u32), steps: u32, flow: bool) -> Result<usize, ApiError> {
        check_size("initImage", (self.picture.width, self.picture.height), self.picture.rgb.len() / 3, size)?;
        if let Some(mask) = self.mask {
            check_size("mask", (mask.width, mask.height), mask.repaint.len(), size)?;
        }
        if let Some(Style { picture, .. }) = self.style {
            check_size("styleImage", (picture.width, picture.height), picture.rgb.len() / 3, size)?;
        }
        let least = u32::from(self.style.is_some());
        let walked = walked_steps(steps, self.strength, flow).max(least);
        if !(0.0..=1.0).contains(&self.strength) || walked == 0 {
            let message =
                format!("Strength must be above 0 to 1 and leave a step of {steps}, {} does not", self.strength);
            return Err(ApiError::field("strength", message));
        }
        Ok(steps.saturating_sub(walked) as usize)
    }
}

fn check_size(field: &str, found: (u32, u32), pixels: usize, size: (u32, u32)) -> Result<(), ApiError> {
    if found == size && pixels == size.0 as usize * size.1 as usize {
        return Ok(());
    }
    let message = format!("{field} is {} x {} pixels, the request {} x {}", found.0, found.1, size.0, size.1);
    Err(ApiError::field(field, message))
}

/// A picture's pixels as the encoder takes them: -1 to 1, row by row, channels last.
pub(crate) fn pixels(picture: &Picture) -> Vec<f32> {
    picture.rgb.iter().map(|byte| f32::from(*byte) / 127.5 - 1.0).collect()
}

/// The same without what the mask shows, which is grey then.
pub(crate) fn masked_pixels(picture: &Picture, mask: &Mask) -> Vec<f32> {
    let mut values = pixels(picture);
    for (pixel, repaint) in values.as_chunks_mut::<3>().0.iter_mut().zip(&mask.repaint) {
        if *repaint >= 128 {
            *pixel = [0.0; 3];
        }
    }
    values
}

/// A sample of the encoder's posterior, the mean without a generator: its mean, and the logarithm of its variance, are the two
/// halves of `moments` in NCHW order.
pub(crate) fn sample(moments: &[f32], shape: [usize; 4], generator: Option<&mut Generator>) -> Latents {
    let (mean, logarithm) = moments.split_at(moments.len() / 2);
    let Some(generator) = generator else { return Latents { shape, values: mean.to_vec() } };
    let noise = generator.normal(mean.len());
    let value =
        |((mean, logarithm), noise): ((&f32, &f32), f32)| mean + (0.5 * logarithm.clamp(-30.0, 20.0)).exp() * noise;
    Latents { shape, values: mean.iter().zip(logarithm).zip(noise).map(value).collect() }
}

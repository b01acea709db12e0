//! Where a run starts from when not from noise alone: a picture, and what of it may change.

use crate::{Latents, Picture, noise::Generator};
use fresco_api::ApiError;

/// A picture to start from (Meng et al. 2021, `SDEdit`), and what of it may change.
pub struct Start<'a> {
    /// The picture, of the request's size.
    pub picture: &'a Picture,
    /// How much is made anew, above 0 to 1: the share of the steps that are walked.
    pub strength: f32,
    /// What is made anew (Lugmayr et al. 2022 in its simplest form: the rest is put back after each
    /// step); everything when there is none.
    pub mask: Option<&'a Mask>,
}

/// Which pixels are made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// A byte a pixel, 128 and above is made anew.
    pub repaint: Vec<u8>,
}

impl Mask {
    /// Whether a pixel is made anew.
    pub fn at(&self, x: u32, y: u32) -> bool {
        self.repaint.get((y * self.width + x) as usize).is_some_and(|value| *value >= 128)
    }

    /// Whether each latent position is made anew: where any of its pixels is. Row by row.
    pub(crate) fn latents(&self, factor: u32) -> Vec<bool> {
        let (columns, rows) = (self.width / factor, self.height / factor);
        let any = |column: u32, row: u32| {
            let pixels = (0..factor * factor).map(|i| (column * factor + i % factor, row * factor + i / factor));
            pixels.into_iter().any(|(x, y)| self.at(x, y))
        };
        (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))).map(|(c, r)| any(c, r)).collect()
    }

    /// Puts the original's pixels back wherever nothing was to change.
    pub(crate) fn paste_back(&self, original: &Picture, picture: &mut Picture) {
        let pixels = picture.rgb.chunks_exact_mut(3).zip(original.rgb.chunks_exact(3)).zip(&self.repaint);
        for ((pixel, before), repaint) in pixels {
            if *repaint < 128 {
                pixel.copy_from_slice(before);
            }
        }
    }
}

impl Start<'_> {
    /// The first step that is walked of `steps`, as diffusers counts.
    ///
    /// # Errors
    /// The picture or mask has another size than `size` (width, height), or the strength leaves no step.
    pub(crate) fn first_step(&self, size: (u32, u32), steps: u32) -> Result<usize, ApiError> {
        check_size("initImage", (self.picture.width, self.picture.height), self.picture.rgb.len() / 3, size)?;
        if let Some(mask) = self.mask {
            check_size("mask", (mask.width, mask.height), mask.repaint.len(), size)?;
        }
        let walked = (f64::from(steps) * f64::from(self.strength)) as u32;
        if !(self.strength > 0.0 && self.strength <= 1.0) || walked == 0 {
            let message =
                format!("Strength must be above 0 to 1 and leave a step of {steps}, {} does not", self.strength);
            return Err(ApiError::field("strength", message));
        }
        Ok((steps - walked.min(steps)) as usize)
    }
}

fn check_size(field: &str, found: (u32, u32), pixels: usize, size: (u32, u32)) -> Result<(), ApiError> {
    if found == size && pixels == size.0 as usize * size.1 as usize {
        return Ok(());
    }
    let message = format!("{field} is {} x {} pixels, the request {} x {}", found.0, found.1, size.0, size.1);
    Err(ApiError::field(field, message))
}

/// A sample of the encoder's posterior: its mean, and the logarithm of its variance, are the two
/// halves of `moments` in NCHW order.
pub(crate) fn sample(moments: &[f32], shape: [usize; 4], generator: &mut Generator) -> Latents {
    let (mean, logarithm) = moments.split_at(moments.len() / 2);
    let noise = generator.normal(mean.len());
    let value =
        |((mean, logarithm), noise): ((&f32, &f32), f32)| mean + (0.5 * logarithm.clamp(-30.0, 20.0)).exp() * noise;
    Latents { shape, values: mean.iter().zip(logarithm).zip(noise).map(value).collect() }
}

//! Style transfer without extra weights: a picture's content in another picture's style.
//!
//! The content picture is where the run starts (Meng et al. 2021, `SDEdit`). The style picture goes
//! through the same noise levels as one more row of the batch, and lends its style in two ways:
//!
//! - Self-attention is shared: the result's queries see the style's keys and values beside their own,
//!   as in reference attention and in `StyleAligned` (Hertz et al. 2024), whose normalised queries and
//!   keys are used too: [`Shared`].
//! - The latents' channels take the style's mean and deviation (AdaIN, Huang & Belongie 2017): there
//!   lie colours and contrast.
//!
//! One strength goes for both.

use crate::{
    Latents, Picture,
    model::{Conditioning, attention::Shared},
    schedule::Schedule,
    weights::tensor,
};
use burn::tensor::Tensor;

/// Added to a variance.
const EPSILON: f32 = 1e-5;

/// A picture whose style a run takes over.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// The picture, of the request's size.
    pub picture: Picture,
    /// How much of its style, 0 to 1.
    pub strength: f32,
}

/// The style picture's way through a run's noise levels.
pub(crate) struct StylePath {
    /// Its latents without noise.
    pub clean: Latents,
    /// The noise that is on them, the same at every level.
    pub noise: Vec<f32>,
    /// An empty prompt: its words are not known.
    pub told: Conditioning,
    /// How much of the style is taken over, 0 to 1.
    pub strength: f32,
    /// Evaluations of the denoiser that the run walks.
    pub evaluations: usize,
}

impl StylePath {
    /// A step's input with the style picture as one more row: latents `[n + 1, h, w, c]`, what is told, and
    /// which row it is.
    pub fn join(
        &self,
        x: Tensor<4>,
        told: &Conditioning,
        schedule: &dyn Schedule,
        step: usize,
    ) -> (Tensor<4>, Conditioning, Option<Shared>) {
        let scale = schedule.input_scale(step);
        let values = self.noised(schedule, step).into_iter().map(|value| value * scale).collect();
        let row = tensor(values, self.clean.shape, &x.device()).permute([0, 2, 3, 1]);
        let shared = Shared { row: x.dims()[0], weight: self.strength };
        (Tensor::cat(vec![x, row], 0), told.followed_by(&self.told), Some(shared))
    }

    /// Moves the channels' mean and deviation towards the style's at the noise level of `step`. Over the
    /// whole run, if nothing moved them back, that would be the strength's share of the way.
    pub fn pull(&self, latents: &mut [f32], schedule: &dyn Schedule, step: usize) {
        let share = 1.0 - (1.0 - self.strength).powf(1.0 / self.evaluations.max(1) as f32);
        let plane = self.clean.shape[2] * self.clean.shape[3];
        let style = self.noised(schedule, step);
        for (values, style) in latents.chunks_exact_mut(plane).zip(style.chunks_exact(plane)) {
            adopt(values, style, share);
        }
    }

    fn noised(&self, schedule: &dyn Schedule, step: usize) -> Vec<f32> {
        let both = self.clean.values.iter().zip(&self.noise);
        both.map(|(clean, noise)| schedule.noised(step, *clean, *noise)).collect()
    }
}

/// Moves `values` by `share` of the way to what they are with the mean and deviation of `style`.
fn adopt(values: &mut [f32], style: &[f32], share: f32) {
    let ((mean, deviation), (style_mean, style_deviation)) = (moments(values), moments(style));
    for value in values {
        let styled = (*value - mean) / deviation * style_deviation + style_mean;
        *value += share * (styled - *value);
    }
}

/// Mean and deviation.
fn moments(values: &[f32]) -> (f32, f32) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    (mean as f32, (variance as f32 + EPSILON).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_one_gives_the_styles_moments_and_none_leaves_everything() {
        let content: Vec<f32> = (0..100).map(|i| (i % 10) as f32).collect();
        let style: Vec<f32> = (0..100).map(|i| 5.0 - 0.2 * (i % 7) as f32).collect();
        let with = |share| {
            let mut values = content.clone();
            adopt(&mut values, &style, share);
            values
        };
        let ((mean, deviation), wanted) = (moments(&with(1.0)), moments(&style));
        assert!((mean - wanted.0).abs() < 1e-4 && (deviation - wanted.1).abs() < 1e-3, "{mean} {deviation}");
        assert_eq!(with(0.0), content);
    }
}

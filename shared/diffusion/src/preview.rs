//! A rough picture of a run that is not finished: what the latents show, without the autoencoder.
//!
//! Each pixel is a linear function of one position of the latents. The function is fitted by least squares
//! to what the model's own decoder makes of random patches, so that it fits every autoencoder.

use crate::{
    Latents, Picture,
    noise::Generator,
    schedule::{Prediction, Schedule},
};

/// The side of the patches that the fit looks at, in positions: wide enough that neighbours agree.
const PATCH: usize = 4;
/// Patches a side.
const PATCHES: usize = 6;
/// Added to the diagonal, so that a channel without effect does no harm.
const RIDGE: f64 = 1e-3;

/// What a position's channels say about red, green and blue.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// A row a channel, and a last one that is always added; pictures are -1 to 1.
    rows: Vec<[f64; 3]>,
}

/// Latents that a fit is made with, as the denoiser has them: squares of one random value a channel.
pub fn probe(channels: usize) -> Latents {
    let side = PATCH * PATCHES;
    let patches = Generator::new(0).normal(channels * PATCHES * PATCHES);
    let value = |i: usize| {
        let (channel, y, x) = (i / (side * side), i / side % side, i % side);
        patches[(channel * PATCHES + y / PATCH) * PATCHES + x / PATCH]
    };
    Latents { shape: [1, channels, side, side], values: (0..channels * side * side).map(value).collect() }
}

impl Projection {
    /// The best one for latents and the picture that they decode to. `None` where they do not determine one.
    pub fn fit(latents: &Latents, picture: &Picture) -> Option<Self> {
        let [_, channels, h, w] = latents.shape;
        let colours = means(picture, h, w)?;
        let n = channels + 1;
        let mut squares = vec![vec![0.0; n + 3]; n];
        let mut place = vec![1.0; n];
        for (i, colour) in colours.iter().enumerate() {
            (0..channels).for_each(|channel| place[channel] = f64::from(latents.values[channel * h * w + i]));
            for (row, a) in squares.iter_mut().zip(&place) {
                row.iter_mut().zip(place.iter().chain(colour)).for_each(|(sum, b)| *sum += a * b);
            }
        }
        squares.iter_mut().enumerate().for_each(|(i, row)| row[i] += RIDGE);
        solve(squares).map(|rows| Self { rows })
    }

    /// A pixel for each position of the first picture's latents, which are as the denoiser has them.
    pub fn picture(&self, latents: &Latents) -> Picture {
        let [_, channels, h, w] = latents.shape;
        let (weights, constant) = self.rows.split_at(channels.min(self.rows.len()));
        let pixel = |i: usize| {
            let mut sum = constant.first().copied().unwrap_or_default();
            for (channel, weights) in weights.iter().enumerate() {
                let value = f64::from(latents.values[channel * h * w + i]);
                sum.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
            }
            sum.map(|x| ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8)
        };
        Picture { width: w as u32, height: h as u32, rgb: (0..h * w).flat_map(pixel).collect() }
    }
}

/// The picture's mean colours, -1 to 1, over `h` times `w` squares.
fn means(picture: &Picture, h: usize, w: usize) -> Option<Vec<[f64; 3]>> {
    let (height, width) = (picture.height as usize, picture.width as usize);
    let factor = height.checked_div(h)?;
    if factor == 0 || (height, width) != (h * factor, w * factor) {
        return None;
    }
    let mean = |i: usize| {
        let mut sum = [0.0; 3];
        for row in 0..factor {
            let start = ((i / w * factor + row) * width + i % w * factor) * 3;
            let pixels = picture.rgb[start..start + factor * 3].as_chunks::<3>().0;
            pixels.iter().for_each(|pixel| sum.iter_mut().zip(pixel).for_each(|(s, x)| *s += f64::from(*x)));
        }
        sum.map(|sum| sum / (factor * factor) as f64 / 127.5 - 1.0)
    };
    Some((0..h * w).map(mean).collect())
}

/// Gauss' elimination of a symmetric positive system with three right sides behind it.
fn solve(mut system: Vec<Vec<f64>>) -> Option<Vec<[f64; 3]>> {
    let n = system.len();
    for i in 0..n {
        let pivot = system[i][i];
        if !pivot.is_finite() || pivot.abs() < f64::EPSILON {
            return None;
        }
        system[i].iter_mut().for_each(|x| *x /= pivot);
        let row = system[i].clone();
        for (j, other) in system.iter_mut().enumerate() {
            let factor = other[i];
            if j != i {
                other.iter_mut().zip(&row).for_each(|(x, y)| *x -= factor * y);
            }
        }
    }
    Some(system.into_iter().map(|row| [row[n], row[n + 1], row[n + 2]]).collect())
}

/// The clean latents that a prediction means: noisy ones are `a * clean + s * noise`, with both factors
/// asked of the schedule.
pub(crate) fn clean(
    latents: &Latents,
    predicted: &[f32],
    schedule: &dyn Schedule,
    step: usize,
    prediction: Prediction,
) -> Latents {
    let (a, s) = (schedule.noised(step, 1.0, 0.0), schedule.noised(step, 0.0, 1.0));
    let square = a * a + s * s;
    let value = |(x, y): (&f32, &f32)| match prediction {
        Prediction::Epsilon => (x - s * y) / a,
        Prediction::Velocity => a * x / square - s * y / square.sqrt(),
        Prediction::Flow => x - s * y,
    };
    Latents { shape: latents.shape, values: latents.values.iter().zip(predicted).map(value).collect() }
}

//! Group normalisation and SiLU on the processor.

use super::each_piece;

/// The weights of one normalisation.
pub struct GroupNorm<'a> {
    /// Scale of each channel.
    pub gamma: &'a [f32],
    /// Shift of each channel.
    pub beta: &'a [f32],
    /// Groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether SiLU follows.
    pub silu: bool,
}

impl GroupNorm<'_> {
    /// Normalises one picture `[h * w, c]` in place.
    pub fn apply(&self, pixels: &mut [f32], c: usize) {
        let size = c / self.groups;
        let mean = per_group(&sums(pixels, c, |x, _| x), size);
        let spread: Vec<f32> = (0..c).map(|channel| mean[channel / size]).collect();
        let variance = per_group(&sums(pixels, c, |x, channel| (x - spread[channel]).powi(2)), size);
        let scale: Vec<f32> = (0..c).map(|i| self.gamma[i] / (variance[i / size] + self.epsilon).sqrt()).collect();
        each_piece(pixels, 256 * c, |_, piece| {
            for pixel in piece.chunks_exact_mut(c) {
                // Centred first: folding mean into shift would cancel digits where the spread is small.
                for (i, x) in pixel.iter_mut().enumerate() {
                    *x = (*x - spread[i]) * scale[i] + self.beta[i];
                }
                if self.silu {
                    pixel.iter_mut().for_each(|x| *x /= 1.0 + (-*x).exp());
                }
            }
        });
    }
}

/// Means over the channels of each group, from sums over the pixels of each channel.
fn per_group((sums, pixels): &(Vec<f64>, usize), size: usize) -> Vec<f32> {
    let count = (pixels * size) as f64;
    sums.chunks_exact(size).map(|group| (group.iter().sum::<f64>() / count) as f32).collect()
}

/// Sums of `f(value, channel)` over the pixels, a channel each, and the number of pixels.
///
/// Each row of pixels is summed in f32 and the rows in f64: vectorises, and keeps six digits for
/// a picture of a million pixels.
fn sums(pixels: &[f32], c: usize, f: impl Fn(f32, usize) -> f32 + Send + Sync) -> (Vec<f64>, usize) {
    const ROW: usize = 64;
    let one = |row: &[f32]| {
        let mut sum = vec![0f32; c];
        for pixel in row.chunks_exact(c) {
            for (channel, (sum, x)) in sum.iter_mut().zip(pixel).enumerate() {
                *sum += f(*x, channel);
            }
        }
        sum
    };
    let mut total = vec![0f64; c];
    for row in rows(pixels, ROW * c, one) {
        for (total, sum) in total.iter_mut().zip(row) {
            *total += f64::from(sum);
        }
    }
    (total, pixels.len() / c.max(1))
}

#[cfg(not(target_arch = "wasm32"))]
fn rows(pixels: &[f32], size: usize, f: impl Fn(&[f32]) -> Vec<f32> + Send + Sync) -> Vec<Vec<f32>> {
    use rayon::prelude::*;
    pixels.par_chunks(size).with_min_len(16).map(f).collect()
}

#[cfg(target_arch = "wasm32")]
fn rows(pixels: &[f32], size: usize, f: impl Fn(&[f32]) -> Vec<f32>) -> Vec<Vec<f32>> {
    pixels.chunks(size).map(f).collect()
}

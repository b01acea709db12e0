//! Gaussian blur by three extended box filters (Gwosdek, Grewenig, Bruhn & Weickert 2011): its cost does
//! not grow with the radius. Values stay whole between the filters, in Pillow's fixed point.

use crate::Picture;

const PASSES: usize = 3;
/// Fixed point of the weights.
const BITS: u32 = 24;

/// A Gaussian blur with a standard deviation of `sigma` pixels; edges continue with their last pixel.
pub fn gaussian_blur(picture: &Picture, sigma: f32) -> Picture {
    let half = half_width(sigma);
    if half <= 0.0 || picture.rgb.is_empty() {
        return picture.clone();
    }
    let (width, height) = (picture.width as usize, picture.height as usize);
    let window = Window::new(half);
    let rows = transposed(&along_rows(picture.rgb.clone(), width, window), width);
    let rgb = transposed(&along_rows(rows, height, window), height);
    Picture { rgb, ..*picture }
}

/// Half the width, without the middle, of a box whose threefold repetition has the variance of `sigma`.
fn half_width(sigma: f32) -> f32 {
    let variance = sigma * sigma / PASSES as f32;
    let length = (12.0 * variance + 1.0).sqrt();
    let whole = ((length - 1.0) / 2.0).floor();
    let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance);
    whole + part / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)))
}

/// A running mean of `2 * half + 1` values; the part of a pixel at either end counts in part.
#[derive(Clone, Copy)]
struct Window {
    whole: isize,
    weight: u64,
    end_weight: u64,
}

impl Window {
    fn new(half: f32) -> Self {
        let (whole, one) = (half as u64, 1u64 << BITS);
        let weight = (one as f32 / (half * 2.0 + 1.0)) as u64;
        Self { whole: whole as isize, weight, end_weight: one.saturating_sub((2 * whole + 1) * weight) / 2 }
    }

    fn apply(self, from: &[u8], to: &mut [u8]) {
        let last = from.len() as isize - 1;
        let at = |i: isize| u64::from(from[i.clamp(0, last) as usize]);
        let mut sum: u64 = (-self.whole..=self.whole).map(at).sum();
        for (i, value) in to.iter_mut().enumerate() {
            let (first, end) = (i as isize - self.whole, i as isize + self.whole + 1);
            let all = sum * self.weight + (at(first - 1) + at(end)) * self.end_weight;
            *value = ((all + (1 << (BITS - 1))) >> BITS) as u8;
            sum = sum + at(end) - at(first);
        }
    }
}

/// Every row of RGB pixels blurred.
fn along_rows(mut values: Vec<u8>, width: usize, window: Window) -> Vec<u8> {
    let mut from = vec![0; width];
    let mut to = vec![0; width];
    for row in values.chunks_exact_mut(width * 3) {
        for channel in 0..3 {
            from.iter_mut().zip(row.iter().skip(channel).step_by(3)).for_each(|(value, pixel)| *value = *pixel);
            for _ in 0..PASSES {
                window.apply(&from, &mut to);
                std::mem::swap(&mut from, &mut to);
            }
            row.iter_mut().skip(channel).step_by(3).zip(&from).for_each(|(pixel, value)| *pixel = *value);
        }
    }
    values
}

/// Rows of `width` RGB pixels as columns.
fn transposed(values: &[u8], width: usize) -> Vec<u8> {
    let height = values.len() / (width * 3);
    let mut turned = Vec::with_capacity(values.len());
    for x in 0..width {
        for y in 0..height {
            let start = (y * width + x) * 3;
            turned.extend_from_slice(&values[start..start + 3]);
        }
    }
    turned
}

//! Gaussian blur by three extended box filters (Gwosdek, Grewenig, Bruhn & Weickert 2011): its cost does
//! not grow with the radius, and its error against the true bell is below a level or two.

use super::to_byte;
use crate::Picture;

const PASSES: usize = 3;

/// A Gaussian blur with a standard deviation of `sigma` pixels; edges continue with their last pixel.
pub fn gaussian_blur(picture: &Picture, sigma: f32) -> Picture {
    let half = half_width(f64::from(sigma)) as f32;
    if half <= 0.0 || picture.rgb.is_empty() {
        return picture.clone();
    }
    let (width, height) = (picture.width as usize, picture.height as usize);
    let values: Vec<f32> = picture.rgb.iter().map(|value| f32::from(*value)).collect();
    let rows = transposed(&along_rows(values, width, half), width);
    let columns = transposed(&along_rows(rows, height, half), height);
    Picture { rgb: columns.into_iter().map(to_byte).collect(), ..*picture }
}

/// Half the width, without the middle, of a box whose threefold repetition has the variance of `sigma`.
fn half_width(sigma: f64) -> f64 {
    let variance = sigma * sigma / PASSES as f64;
    let length = (12.0 * variance + 1.0).sqrt();
    let whole = ((length - 1.0) / 2.0).floor();
    let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance);
    whole + part / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)))
}

/// Every row of RGB pixels blurred.
fn along_rows(mut values: Vec<f32>, width: usize, half: f32) -> Vec<f32> {
    let mut from = vec![0.0; width];
    let mut to = vec![0.0; width];
    for row in values.chunks_exact_mut(width * 3) {
        for channel in 0..3 {
            from.iter_mut().zip(row.iter().skip(channel).step_by(3)).for_each(|(value, pixel)| *value = *pixel);
            for _ in 0..PASSES {
                box_blur(&from, &mut to, half);
                std::mem::swap(&mut from, &mut to);
            }
            row.iter_mut().skip(channel).step_by(3).zip(&from).for_each(|(pixel, value)| *pixel = *value);
        }
    }
    values
}

/// A running mean of `2 * half + 1` values; the part of a pixel at either end counts in part.
fn box_blur(from: &[f32], to: &mut [f32], half: f32) {
    let last = from.len() as isize - 1;
    let at = |i: isize| from[i.clamp(0, last) as usize];
    let whole = half.floor() as isize;
    let (weight, part) = (1.0 / f64::from(2.0 * half + 1.0), f64::from(half - half.floor()));
    // In f64: the sum runs along the whole row.
    let mut sum: f64 = (-whole..=whole).map(|i| f64::from(at(i))).sum();
    for (i, value) in to.iter_mut().enumerate() {
        let i = i as isize;
        let ends = f64::from(at(i - whole - 1)) + f64::from(at(i + whole + 1));
        *value = ((sum + part * ends) * weight) as f32;
        sum += f64::from(at(i + whole + 1)) - f64::from(at(i - whole));
    }
}

/// Rows of `width` RGB pixels as columns.
fn transposed(values: &[f32], width: usize) -> Vec<f32> {
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

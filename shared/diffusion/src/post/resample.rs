//! Another size by Lanczos' windowed sinc of three lobes (Duchon 1979), rows first and then columns.

use super::to_byte;
use crate::Picture;

const LOBES: f64 = 3.0;

/// What one pixel of the result is made of: the first pixel, and the weights from there on.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// The picture at `size` (width, height) in pixels, larger or smaller; a size with a 0 gives no pixels.
///
/// Weights of each pixel sum to 1, edges are left out of the sum; smaller pictures widen the window, so
/// that nothing is skipped.
pub fn resize(picture: &Picture, (width, height): (u32, u32)) -> Picture {
    if (width, height) == (picture.width, picture.height) {
        return picture.clone();
    }
    if picture.rgb.is_empty() {
        return Picture { width, height, rgb: vec![0; width as usize * height as usize * 3] };
    }
    let columns = taps(picture.width as usize, width as usize);
    let mut wide = Vec::with_capacity(columns.len() * 3 * picture.height as usize);
    for row in picture.rgb.chunks_exact(picture.width as usize * 3) {
        let pixels = row.as_chunks::<3>().0;
        wide.extend(columns.iter().flat_map(|taps| taps.of(|i| pixels[i].map(f32::from))));
    }
    let stride = columns.len() * 3;
    let mut rgb = Vec::with_capacity(stride * height as usize);
    let mut row = vec![0f32; stride];
    for taps in self::taps(picture.height as usize, height as usize) {
        row.fill(0.0);
        for (i, weight) in taps.weights.iter().enumerate() {
            let from = &wide[(taps.first + i) * stride..][..stride];
            row.iter_mut().zip(from).for_each(|(sum, value)| *sum += weight * value);
        }
        rgb.extend(row.iter().map(|value| to_byte(*value)));
    }
    Picture { width, height, rgb }
}

impl Taps {
    fn of(&self, pixel: impl Fn(usize) -> [f32; 3]) -> [f32; 3] {
        let mut sum = [0.0; 3];
        for (i, weight) in self.weights.iter().enumerate() {
            let pixel = pixel(self.first + i);
            sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += weight * value);
        }
        sum
    }
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to.max(1) as f64;
    let stretch = scale.max(1.0);
    let reach = LOBES * stretch;
    let one = |place: usize| {
        let centre = (place as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end).map(|i| lanczos((i as f64 - centre + 0.5) / stretch)).collect();
        let sum: f64 = weights.iter().sum();
        Taps { first, weights: weights.into_iter().map(|weight| (weight / sum) as f32).collect() }
    };
    (0..to).map(one).collect()
}

fn lanczos(x: f64) -> f64 {
    if x.abs() < LOBES { sinc(x) * sinc(x / LOBES) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    let angle = std::f64::consts::PI * x;
    if x == 0.0 { 1.0 } else { angle.sin() / angle }
}

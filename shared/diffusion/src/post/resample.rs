//! Another size by Lanczos' windowed sinc of three lobes.

use crate::Picture;

/// Zero crossings of the filter to each side.
const LOBES: f64 = 3.0;

/// The picture at `size` (width, height) in pixels, larger or smaller; a size with a 0 gives no pixels.
pub fn resize(picture: &Picture, (width, height): (u32, u32)) -> Picture {
    let rgb = resample::<3>(&picture.rgb, (picture.width, picture.height), (width, height));
    Picture { width, height, rgb }
}

/// Rows of pixels of `N` bytes from one size (width, height) to another.
///
/// Lanczos resampling (Duchon 1979; Turkowski 1990) with three lobes, widened where the picture
/// shrinks, and rounded to bytes between columns and rows: Pillow's `LANCZOS`, by which the reference
/// pipelines resize.
pub(crate) fn resample<const N: usize>(pixels: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
    if from == to {
        return pixels.to_vec();
    }
    if pixels.is_empty() {
        return vec![0; to.0 as usize * to.1 as usize * N];
    }
    let columns = windows(from.0, to.0);
    let mut narrow = Vec::with_capacity(to.0 as usize * from.1 as usize * N);
    for row in pixels.chunks_exact(from.0 as usize * N) {
        for window in &columns {
            narrow.extend(window.sum::<N>(|x| &row[x * N..(x + 1) * N]));
        }
    }
    let stride = to.0 as usize * N;
    let mut resized = Vec::with_capacity(stride * to.1 as usize);
    for window in windows(from.1, to.1) {
        for x in (0..stride).step_by(N) {
            resized.extend(window.sum::<N>(|y| &narrow[y * stride + x..y * stride + x + N]));
        }
    }
    resized
}

/// What of the source one result is made of.
struct Window {
    start: usize,
    /// They sum to 1.
    weights: Vec<f64>,
}

impl Window {
    fn sum<'a, const N: usize>(&self, pixel: impl Fn(usize) -> &'a [u8]) -> [u8; N] {
        let mut sums = [0.0; N];
        for (i, weight) in self.weights.iter().enumerate() {
            for (sum, value) in sums.iter_mut().zip(pixel(self.start + i)) {
                *sum += weight * f64::from(*value);
            }
        }
        sums.map(|sum| (sum + 0.5).clamp(0.0, 255.0) as u8)
    }
}

/// The window of each of `to` results of `from` values.
fn windows(from: u32, to: u32) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    let width = scale.max(1.0);
    let window = |i: u32| {
        let centre = (f64::from(i) + 0.5) * scale;
        let start = (centre - LOBES * width + 0.5).max(0.0) as usize;
        let end = ((centre + LOBES * width + 0.5) as usize).min(from as usize);
        let weights: Vec<f64> = (start..end).map(|x| lanczos((x as f64 + 0.5 - centre) / width)).collect();
        let total: f64 = weights.iter().sum();
        Window { start, weights: weights.into_iter().map(|weight| weight / total).collect() }
    };
    (0..to).map(window).collect()
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
    if (-LOBES..LOBES).contains(&x) { sinc(x) * sinc(x / LOBES) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_picture_stays_plain_at_any_size() {
        for to in [(1, 1), (7, 90), (64, 3)] {
            assert!(resample::<3>(&[77; 3 * 20 * 30], (20, 30), to).iter().all(|value| *value == 77), "{to:?}");
        }
    }
}

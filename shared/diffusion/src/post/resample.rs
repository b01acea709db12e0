//! Another size by a filter over the pixels around.

use crate::Picture;

/// How much of the pixels around a result is made of. Each is widened where the picture shrinks, as Pillow's are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Lanczos' windowed sinc (Duchon 1979; Turkowski 1990) with three lobes, by which the reference
    /// pipelines resize.
    #[default]
    Lanczos,
    /// Cubic convolution (Keys 1981) with a = -1/2.
    Bicubic,
    /// A triangle.
    Bilinear,
}

impl Filter {
    /// How far it reaches to each side, in pixels.
    fn reach(self) -> f64 {
        match self {
            Self::Lanczos => 3.0,
            Self::Bicubic => 2.0,
            Self::Bilinear => 1.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let far = x.abs();
        match self {
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Bicubic if far < 1.0 => (1.5 * far - 2.5) * far * far + 1.0,
            Self::Bicubic if far < 2.0 => ((-0.5 * far + 2.5) * far - 4.0) * far + 2.0,
            Self::Bilinear if far < 1.0 => 1.0 - far,
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) }
}

/// The picture at `size` (width, height) in pixels, larger or smaller; a size with a 0 gives no pixels.
pub fn resize(picture: &Picture, size: (u32, u32)) -> Picture {
    resize_by(picture, size, Filter::Lanczos)
}

/// As [`resize`], by another filter.
pub fn resize_by(picture: &Picture, (width, height): (u32, u32), filter: Filter) -> Picture {
    let rgb = resample_by::<3>(&picture.rgb, (picture.width, picture.height), (width, height), filter);
    Picture { width, height, rgb }
}

/// Rows of pixels of `N` bytes from one size (width, height) to another, by Lanczos' filter.
pub(crate) fn resample<const N: usize>(pixels: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
    resample_by::<N>(pixels, from, to, Filter::Lanczos)
}

/// Columns first, then rows, rounded to bytes between them, as Pillow does.
fn resample_by<const N: usize>(pixels: &[u8], from: (u32, u32), to: (u32, u32), filter: Filter) -> Vec<u8> {
    if from == to {
        return pixels.to_vec();
    }
    if pixels.is_empty() {
        return vec![0; to.0 as usize * to.1 as usize * N];
    }
    let columns = windows(from.0, to.0, filter);
    let mut narrow = Vec::with_capacity(to.0 as usize * from.1 as usize * N);
    for row in pixels.chunks_exact(from.0 as usize * N) {
        for window in &columns {
            narrow.extend(window.sum::<N>(|x| &row[x * N..(x + 1) * N]));
        }
    }
    let stride = to.0 as usize * N;
    let mut resized = Vec::with_capacity(stride * to.1 as usize);
    for window in windows(from.1, to.1, filter) {
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
fn windows(from: u32, to: u32, filter: Filter) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    let width = scale.max(1.0);
    let reach = filter.reach() * width;
    let window = |i: u32| {
        let centre = (f64::from(i) + 0.5) * scale;
        let start = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from as usize);
        let weights: Vec<f64> = (start..end).map(|x| filter.weight((x as f64 + 0.5 - centre) / width)).collect();
        let total: f64 = weights.iter().sum();
        Window { start, weights: weights.into_iter().map(|weight| weight / total).collect() }
    };
    (0..to).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_picture_stays_plain_at_any_size() {
        for to in [(1, 1), (7, 90), (64, 3)] {
            for filter in [Filter::Lanczos, Filter::Bicubic, Filter::Bilinear] {
                let resized = resample_by::<3>(&[77; 3 * 20 * 30], (20, 30), to, filter);
                assert!(resized.iter().all(|value| *value == 77), "{to:?} {filter:?}");
            }
        }
    }
}

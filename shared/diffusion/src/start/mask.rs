//! A mask: which pixels a run makes anew, and how softly its edge goes over into the rest.

use super::{
    region::Region,
    resize::{Size, fit_plane},
};
use crate::Picture;
use fresco_api::ResizeMode;

/// How far a Gaussian reaches, in radii; beyond it counts as nothing (A1111 cuts it there too).
const REACH: f32 = 2.5;

/// Which pixels are made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// A byte a pixel: 255 is made anew, 0 is kept exactly, and what lies between is mixed in that
    /// proportion. The run itself, which knows no halves, makes anew what has 128 and above.
    pub repaint: Vec<u8>,
}

impl Mask {
    /// Whether the run makes a pixel anew.
    pub fn at(&self, x: u32, y: u32) -> bool {
        self.repaint.get((y * self.width + x) as usize).is_some_and(|value| *value >= 128)
    }

    /// What a picture's brightness says: white is made anew, black is kept, and 128 is white.
    pub fn of_brightness(picture: &Picture) -> Self {
        // ITU-R 601-2 luma, in the whole numbers of Pillow's "L".
        let luma = |p: &[u8; 3]| u32::from(p[0]) * 19595 + u32::from(p[1]) * 38470 + u32::from(p[2]) * 7471 + 0x8000;
        let repaint = picture.rgb.as_chunks::<3>().0.iter().map(|pixel| hard((luma(pixel) >> 16) as u8));
        Self { width: picture.width, height: picture.height, repaint: repaint.collect() }
    }

    /// What transparency says: the transparent is made anew, from one half on.
    pub fn of_transparency((width, height): Size, alpha: &[u8]) -> Self {
        Self { width, height, repaint: alpha.iter().map(|alpha| hard(255 - alpha)).collect() }
    }

    /// The same mask at another size, its edge as hard as before.
    pub(super) fn fitted(&self, to: Size, mode: ResizeMode) -> Self {
        let softened = fit_plane::<1>(&self.repaint, (self.width, self.height), to, mode);
        Self { width: to.0, height: to.1, repaint: softened.into_iter().map(hard).collect() }
    }

    /// The mask with a soft edge: a Gaussian whose deviation is `radius` pixels.
    pub(super) fn blurred(&self, radius: f32) -> Self {
        if radius.is_nan() || radius <= 0.0 {
            return self.clone();
        }
        let reach = (radius * REACH).ceil() as i64;
        let weights: Vec<f32> = (-reach..=reach).map(|i| (-0.5 * (i as f32 / radius).powi(2)).exp()).collect();
        let rows = blur(&self.repaint.iter().map(|x| f32::from(*x)).collect::<Vec<_>>(), self.width, &weights);
        let columns = blur(&transposed(&rows, self.width), self.height, &weights);
        let repaint = transposed(&columns, self.height).into_iter().map(|x| x.round().clamp(0.0, 255.0) as u8);
        Self { width: self.width, height: self.height, repaint: repaint.collect() }
    }

    /// The same, but everything that was to be made anew still is, half at least: what is thinner than the blur
    /// would be mixed away.
    pub(super) fn softened(&self, radius: f32) -> Self {
        let mut soft = self.blurred(radius);
        for (value, hard) in soft.repaint.iter_mut().zip(&self.repaint) {
            if *hard >= 128 {
                *value = (*value).max(128);
            }
        }
        soft
    }

    /// At least as much anew as `other`, of the same size, says.
    pub(super) fn at_least(mut self, other: &Self) -> Self {
        for (value, other) in self.repaint.iter_mut().zip(&other.repaint) {
            *value = (*value).max(*other);
        }
        self
    }

    /// The smallest region that holds everything that is not kept exactly.
    pub(super) fn bounds(&self) -> Option<Region> {
        let places = self.repaint.iter().enumerate().filter(|(_, value)| **value > 0);
        let places = places.map(|(i, _)| (i as u32 % self.width, i as u32 / self.width));
        let reach = places.fold(None, |reach: Option<[u32; 4]>, (x, y)| {
            let [left, top, right, bottom] = reach.unwrap_or([x, y, x, y]);
            Some([left.min(x), top.min(y), right.max(x), bottom.max(y)])
        });
        reach.map(|[left, top, right, bottom]| Region { left, top, width: right - left + 1, height: bottom - top + 1 })
    }

    /// Whether each latent position is made anew: where any of its pixels is. Row by row.
    pub(crate) fn latents(&self, factor: u32) -> Vec<bool> {
        let any = |column: u32, row: u32| {
            let pixels = (0..factor * factor).map(|i| (column * factor + i % factor, row * factor + i / factor));
            pixels.into_iter().any(|(x, y)| self.at(x, y))
        };
        self.positions(factor, any)
    }

    /// The mask as an inpainting checkpoint is told it: 1 where a position's first pixel is made anew,
    /// which is the reference's nearest neighbour. Row by row.
    pub(crate) fn nearest(&self, factor: u32) -> Vec<f32> {
        self.positions(factor, |column, row| f32::from(u8::from(self.at(column * factor, row * factor))))
    }

    fn positions<T>(&self, factor: u32, value: impl Fn(u32, u32) -> T) -> Vec<T> {
        let (columns, rows) = (self.width / factor, self.height / factor);
        (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))).map(|(c, r)| value(c, r)).collect()
    }

    /// Puts the original's pixels back: wholly where nothing was to change, in part on a soft edge.
    pub(crate) fn paste_back(&self, original: &Picture, picture: &mut Picture) {
        let pixels = picture.rgb.as_chunks_mut::<3>().0.iter_mut().zip(original.rgb.as_chunks::<3>().0);
        for ((pixel, before), repaint) in pixels.zip(&self.repaint) {
            for (new, old) in pixel.iter_mut().zip(before) {
                let share = u32::from(*repaint);
                *new = ((u32::from(*new) * share + u32::from(*old) * (255 - share) + 127) / 255) as u8;
            }
        }
    }
}

/// 255 from one half on, else 0.
fn hard(value: u8) -> u8 {
    if value >= 128 { 255 } else { 0 }
}

/// Every row of `width` values weighted by its neighbours; the outermost go on beyond the edge.
fn blur(values: &[f32], width: u32, weights: &[f32]) -> Vec<f32> {
    let total: f32 = weights.iter().sum();
    let (last, reach) = (i64::from(width) - 1, (weights.len() / 2) as i64);
    let mut blurred = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width as usize) {
        for x in 0..=last {
            let around = (x - reach..=x + reach).map(|i| row[i.clamp(0, last) as usize]);
            blurred.push(around.zip(weights).map(|(value, weight)| value * weight).sum::<f32>() / total);
        }
    }
    blurred
}

/// Rows of `width` values as columns.
fn transposed(values: &[f32], width: u32) -> Vec<f32> {
    let width = width as usize;
    let height = values.len() / width.max(1);
    (0..width).flat_map(|x| (0..height).map(move |y| values[y * width + x])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square() -> Mask {
        let repaint = (0..32 * 32).map(|i| if (8..24).contains(&(i % 32)) && i / 32 < 16 { 255 } else { 0 });
        Mask { width: 32, height: 32, repaint: repaint.collect() }
    }

    #[test]
    fn a_blur_is_half_at_the_edge_and_nothing_beyond_its_reach() {
        let soft = square().blurred(2.0);
        let row: Vec<u8> = soft.repaint[32..64].to_vec();
        assert!(row[..3].iter().all(|x| *x == 0) && row[13..19].iter().all(|x| *x == 255), "{row:?}");
        assert!(row[7] < 128 && row[8] > 127 && u16::from(row[7]) + u16::from(row[8]) == 255, "{row:?}");
        assert!(row[..16].is_sorted(), "{row:?}");
    }

    #[test]
    fn bounds_hold_the_whole_mask_and_nothing_more() {
        assert_eq!(square().bounds(), Some(Region { left: 8, top: 0, width: 16, height: 16 }));
        assert_eq!(Mask { width: 4, height: 4, repaint: vec![0; 16] }.bounds(), None);
    }

    #[test]
    fn a_pixel_that_is_kept_is_kept_exactly_and_a_soft_one_is_mixed() {
        let picture = |value| Picture { width: 3, height: 1, rgb: vec![value; 9] };
        let mut painted = picture(200);
        Mask { width: 3, height: 1, repaint: vec![0, 128, 255] }.paste_back(&picture(7), &mut painted);
        assert_eq!(painted.rgb, [[7; 3], [104; 3], [200; 3]].concat());
    }

    #[test]
    fn an_inpainting_checkpoint_is_told_the_first_pixel_of_each_position() {
        let mut mask = Mask { width: 4, height: 2, repaint: vec![0; 8] };
        mask.repaint[1] = 255;
        mask.repaint[2] = 255;
        assert_eq!((mask.nearest(2), mask.latents(2)), (vec![0.0, 1.0], vec![true, true]));
    }
}

//! A part of a picture that is worked on at the model's size and put back: A1111's "only masked".

use super::resize::{Size, take};
use crate::{Mask, Picture, post::resample};

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Pixels from the left edge.
    pub left: u32,
    /// Pixels from the top edge.
    pub top: u32,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Region {
    /// The region with `padding` on each side, then as much more on the shorter side as gives it the
    /// proportions of `shape`; never beyond a picture of `size`.
    pub(super) fn widened(self, padding: u32, shape: Size, size: Size) -> Self {
        let (left, width) = grown(self.left, self.width, self.width.saturating_add(padding.saturating_mul(2)), size.0);
        let (top, height) = grown(self.top, self.height, self.height.saturating_add(padding.saturating_mul(2)), size.1);
        let wanted = |side: u32, by: u32, of: u32| (u64::from(side) * u64::from(by)).div_ceil(u64::from(of.max(1)));
        let wide = u64::from(width) * u64::from(shape.1) > u64::from(height) * u64::from(shape.0);
        if wide {
            let (top, height) = grown(top, height, wanted(width, shape.1, shape.0) as u32, size.1);
            Self { left, top, width, height }
        } else {
            let (left, width) = grown(left, width, wanted(height, shape.0, shape.1) as u32, size.0);
            Self { left, top, width, height }
        }
    }

    /// The region of a picture, at another size.
    pub(super) fn picture(self, whole: &Picture, to: Size) -> Picture {
        let part = take::<3>(&whole.rgb, (whole.width, whole.height), (self.left, self.top), self.size());
        Picture { width: to.0, height: to.1, rgb: resample::<3>(&part, self.size(), to) }
    }

    /// The region of a mask, at another size: everything that a soft edge reaches is made anew, and mixed
    /// only where it is put back.
    pub(super) fn mask(self, whole: &Mask, to: Size) -> Mask {
        let part = take::<1>(&whole.repaint, (whole.width, whole.height), (self.left, self.top), self.size());
        let reached: Vec<u8> = part.into_iter().map(|value| if value > 0 { 255 } else { 0 }).collect();
        let repaint = resample::<1>(&reached, self.size(), to).into_iter().map(|value| if value > 0 { 255 } else { 0 });
        Mask { width: to.0, height: to.1, repaint: repaint.collect() }
    }

    /// Puts `part`, of any size, into the region of `whole`, as much as `mask` lets it show.
    pub(super) fn paste(self, part: &Picture, whole: &Picture, mask: &Mask) -> Picture {
        let part = resample::<3>(&part.rgb, (part.width, part.height), self.size());
        let mut pasted = whole.clone();
        let length = self.width as usize * 3;
        for (y, row) in part.chunks_exact(length).enumerate() {
            let start = ((self.top as usize + y) * whole.width as usize + self.left as usize) * 3;
            pasted.rgb[start..start + length].copy_from_slice(row);
        }
        mask.paste_back(whole, &mut pasted);
        pasted
    }

    fn size(self) -> Size {
        (self.width, self.height)
    }
}

/// A stretch that begins at `start` grown to `wanted`, evenly to both sides, moved inside `0..limit`.
fn grown(start: u32, length: u32, wanted: u32, limit: u32) -> (u32, u32) {
    let length_new = wanted.max(length).min(limit);
    let start_new = start.saturating_sub((length_new - length) / 2);
    (start_new.min(limit - length_new), length_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_grows_to_the_shape_and_stays_inside() {
        let region = Region { left: 90, top: 40, width: 10, height: 20 };
        assert_eq!(region.widened(4, (64, 64), (200, 100)), Region { left: 81, top: 36, width: 28, height: 28 });
        // At the right edge it grows to the left.
        assert_eq!(region.widened(4, (64, 64), (100, 100)), Region { left: 72, top: 36, width: 28, height: 28 });
        // Where there is no room, the proportions give way and the mask does not.
        assert_eq!(region.widened(0, (400, 10), (100, 100)), Region { left: 0, top: 40, width: 100, height: 20 });
        assert_eq!(
            region.widened(u32::MAX / 2, (64, 64), (100, 100)),
            Region { left: 0, top: 0, width: 100, height: 100 }
        );
    }
}

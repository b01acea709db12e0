//! Outpainting: a larger canvas, and something on it for a run to begin with.

use super::resize::{Size, place};
use crate::{Mask, Picture, noise::Generator};
use fresco_api::Outpaint;

/// Deviation of the noise on what is added, of 255: enough that a run does not take it for a surface.
const GRAIN: f32 = 24.0;

/// What is new on the canvas of a picture of a size, together with what `mask` shows of the picture.
pub(super) fn grown_mask(from: Size, mask: Option<&Mask>, by: Outpaint) -> Mask {
    let (to, corner): (Size, Size) = (by.grown(from), (by.left, by.top));
    let mut repaint = vec![255; to.0 as usize * to.1 as usize];
    for row in 0..from.1 as usize {
        let start = (row + corner.1 as usize) * to.0 as usize + corner.0 as usize;
        let kept = &mut repaint[start..start + from.0 as usize];
        match mask {
            Some(mask) => kept.copy_from_slice(&mask.repaint[row * from.0 as usize..][..from.0 as usize]),
            None => kept.fill(0),
        }
    }
    Mask { width: to.0, height: to.1, repaint }
}

/// The picture on its grown canvas, its edges going on with noise on them.
pub(super) fn grown(picture: &Picture, by: Outpaint, seed: u64) -> Picture {
    if by.is_nothing() {
        return picture.clone();
    }
    let (from, corner) = ((picture.width, picture.height), (by.left, by.top));
    let to: Size = by.grown(from);
    let mut rgb = place::<3>(&picture.rgb, from, to, corner);
    // A generator of its own: the run's noise is the same as without a canvas.
    let mut generator = Generator::new(seed);
    let inside = |x: u32, y: u32| (x.wrapping_sub(corner.0) < from.0) && (y.wrapping_sub(corner.1) < from.1);
    for (y, row) in (0..).zip(rgb.chunks_exact_mut(to.0 as usize * 3)) {
        for ((x, pixel), grain) in (0..).zip(row.as_chunks_mut::<3>().0).zip(generator.normal(to.0 as usize)) {
            if !inside(x, y) {
                *pixel = pixel.map(|value| (f32::from(value) + GRAIN * grain).round().clamp(0.0, 255.0) as u8);
            }
        }
    }
    Picture { width: to.0, height: to.1, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_lies_where_it_should_and_the_rest_is_to_be_made() {
        let rgb: Vec<u8> = (0..4 * 2 * 3).collect();
        let picture = Picture { width: 4, height: 2, rgb };
        let by = Outpaint { left: 3, bottom: 1, ..Outpaint::default() };
        let (canvas, mask) = (grown(&picture, by, 1), grown_mask((4, 2), None, by));
        assert_eq!((canvas.width, canvas.height, mask.width, mask.height), (7, 3, 7, 3));
        for (y, row) in canvas.rgb.chunks_exact(21).take(2).enumerate() {
            assert_eq!(row[9..], picture.rgb[y * 12..(y + 1) * 12]);
        }
        assert_eq!(mask.repaint, [[255, 255, 255, 0, 0, 0, 0], [255, 255, 255, 0, 0, 0, 0], [255; 7]].concat());
    }
}

//! Pictures brought to another size: what to do when the proportions differ.

use crate::{Picture, post::resample};
use fresco_api::ResizeMode;

/// Width and height in pixels.
pub(super) type Size = (u32, u32);

/// The picture at a size, its proportions treated as `mode` says.
pub(super) fn fit(picture: &Picture, to: Size, mode: ResizeMode) -> Picture {
    let rgb = fit_plane::<3>(&picture.rgb, (picture.width, picture.height), to, mode);
    Picture { width: to.0, height: to.1, rgb }
}

/// Rows of pixels of `N` bytes at another size.
pub(super) fn fit_plane<const N: usize>(pixels: &[u8], from: Size, to: Size, mode: ResizeMode) -> Vec<u8> {
    match mode {
        ResizeMode::Stretch => resample::<N>(pixels, from, to),
        ResizeMode::Crop => {
            let (width, height) = inside(from, to);
            let (left, top) = ((from.0 - width) / 2, (from.1 - height) / 2);
            let middle = take::<N>(pixels, from, (left, top), (width, height));
            resample::<N>(&middle, (width, height), to)
        }
        ResizeMode::Pad => {
            let (width, height) = inside(to, from);
            let small = resample::<N>(pixels, from, (width, height));
            let (left, top) = ((to.0 - width) / 2, (to.1 - height) / 2);
            place::<N>(&small, (width, height), to, (left, top))
        }
    }
}

/// The largest size of `shape`'s proportions that fits into `frame`.
fn inside(frame: Size, shape: Size) -> Size {
    let [fw, fh, sw, sh] = [frame.0, frame.1, shape.0, shape.1].map(u64::from);
    let scaled = |side: u64, by: u64, of: u64| ((side * by + of / 2) / of.max(1)).max(1);
    let (width, height) =
        if fw * sh > fh * sw { (scaled(fh, sw, sh).min(fw), fh) } else { (fw, scaled(fw, sh, sw).min(fh)) };
    (width as u32, height as u32)
}

/// A part of a picture; it lies inside.
pub(super) fn take<const N: usize>(pixels: &[u8], from: Size, corner: Size, size: Size) -> Vec<u8> {
    let mut part = Vec::with_capacity(size.0 as usize * size.1 as usize * N);
    for row in corner.1..corner.1 + size.1 {
        let start = (row as usize * from.0 as usize + corner.0 as usize) * N;
        part.extend_from_slice(&pixels[start..start + size.0 as usize * N]);
    }
    part
}

/// A picture with its corner at a place of a larger one; its outermost pixels go on to the edges.
pub(super) fn place<const N: usize>(pixels: &[u8], from: Size, to: Size, corner: Size) -> Vec<u8> {
    let nearest = |place: u32, start: u32, length: u32| place.saturating_sub(start).min(length - 1) as usize;
    let mut placed = Vec::with_capacity(to.0 as usize * to.1 as usize * N);
    for y in 0..to.1 {
        let row = nearest(y, corner.1, from.1) * from.0 as usize;
        for x in 0..to.0 {
            let start = (row + nearest(x, corner.0, from.0)) * N;
            placed.extend_from_slice(&pixels[start..start + N]);
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions_are_kept_by_crop_and_pad_and_lost_by_stretch() {
        // A white square in the middle of a wide picture.
        let white = |i: u32| (24..40).contains(&(i % 64)) && (8..24).contains(&(i / 64));
        let pixels: Vec<u8> = (0..64 * 32).map(|i| if white(i) { 255 } else { 0 }).collect();
        let extent = |mode| {
            let resized = fit_plane::<1>(&pixels, (64, 32), (32, 32), mode);
            let across = resized[16 * 32..17 * 32].iter().filter(|value| **value >= 128).count();
            (across, (0..32).filter(|y| resized[y * 32 + 16] >= 128).count())
        };
        assert_eq!(extent(ResizeMode::Stretch), (8, 16));
        assert_eq!(extent(ResizeMode::Crop), (16, 16));
        assert_eq!(extent(ResizeMode::Pad), (8, 8));
    }
}

//! Brightness, contrast and sharpness: each moves the picture away from, or towards, a duller one
//! (Haeberli & Voorhies 1994, "Image Processing by Interpolation and Extrapolation").

use super::to_byte;
use crate::Picture;

/// `factor` times every value: 0 is black, 1 the picture.
pub fn brightness(picture: &Picture, factor: f32) -> Picture {
    each(picture, |value| f32::from(value) * factor)
}

/// `grey + factor * (value - grey)`, grey the mean luma (BT.601): 0 is plain grey, 1 the picture.
pub fn contrast(picture: &Picture, factor: f32) -> Picture {
    let pixels = picture.rgb.as_chunks::<3>().0;
    let sum: u64 = pixels.iter().map(|pixel| u64::from(luma(*pixel))).sum();
    // A whole number, as the reference has it.
    let grey = (sum as f64 / pixels.len().max(1) as f64).round() as f32;
    each(picture, |value| grey + factor * (f32::from(value) - grey))
}

/// `smooth + factor * (value - smooth)`, an unsharp mask of 3x3 pixels: 0 is smoothed, 1 the picture.
///
/// Smoothed by ones around a five, of thirteen. The outermost pixels have no such neighbourhood and stay.
pub fn sharpness(picture: &Picture, factor: f32) -> Picture {
    let (width, height) = (picture.width as usize, picture.height as usize);
    if width < 3 || height < 3 {
        return picture.clone();
    }
    let stride = width * 3;
    let mut rgb = picture.rgb.clone();
    for y in 1..height - 1 {
        let inner = y * stride + 3..(y + 1) * stride - 3;
        for (i, sharp) in inner.clone().zip(&mut rgb[inner]) {
            let row = |start: usize| [start - 3, start, start + 3].map(|i| f32::from(picture.rgb[i]));
            let sum: f32 = [i - stride, i, i + stride].into_iter().flat_map(row).sum();
            let value = f32::from(picture.rgb[i]);
            // Rounded, as the reference's smoothed picture is.
            let smooth = ((sum + 4.0 * value) / 13.0).round();
            *sharp = to_byte(smooth + factor * (value - smooth));
        }
    }
    Picture { rgb, ..*picture }
}

fn each(picture: &Picture, f: impl Fn(u8) -> f32) -> Picture {
    let table: Vec<u8> = (0..=255).map(|value| to_byte(f(value))).collect();
    Picture { rgb: picture.rgb.iter().map(|value| table[usize::from(*value)]).collect(), ..*picture }
}

/// BT.601 luma in 16-bit fixed point.
fn luma([red, green, blue]: [u8; 3]) -> u32 {
    (19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue) + 0x8000) >> 16
}

//! What is done to a finished picture: pure functions of pixels, the same on every engine.
//!
//! All of them work on the 8-bit values as they are (in gamma space, as image editors and Pillow do),
//! and round to whole levels where Pillow does.

mod blur;
mod enhance;
mod resample;

use crate::Picture;
use fresco_api::Post;

pub use blur::gaussian_blur;
pub use enhance::{brightness, contrast, sharpness};
pub(crate) use resample::resample;
pub use resample::{Filter, resize, resize_by};

/// Everything that `post` asks for, in its order. Bounds were checked by [`Post::check`].
pub fn apply(picture: Picture, post: &Post) -> Picture {
    let picture = match post.scale() {
        0 | 1 => picture,
        times => resize(&picture, (picture.width * times, picture.height * times)),
    };
    let picture = then(picture, post.brightness, brightness);
    let picture = then(picture, post.contrast, contrast);
    let picture = then(picture, post.sharpness, sharpness);
    then(picture, post.blur, gaussian_blur)
}

fn then(picture: Picture, value: Option<f32>, step: impl Fn(&Picture, f32) -> Picture) -> Picture {
    match value {
        Some(value) => step(&picture, value),
        None => picture,
    }
}

/// The nearest of 256 levels.
fn to_byte(x: f32) -> u8 {
    // The cast ends at 0 and 255 by itself.
    (x + 0.5).floor() as u8
}

//! What is done to a finished picture, whatever made it.

use crate::{ApiError, limits};
use serde::{Deserialize, Serialize};

/// Changes to a finished picture. What is left out changes nothing.
///
/// They follow each other in the order of the fields: the picture is enlarged first, so that sharpness
/// and blur count in pixels of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Post {
    /// Times as wide and as high: 1, 2 or 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upscale: Option<u32>,
    /// 0 is black, 1 the picture, above brighter; at most [`limits::MAX_ENHANCE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brightness: Option<f32>,
    /// 0 is plain grey, 1 the picture, above stronger; at most [`limits::MAX_ENHANCE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contrast: Option<f32>,
    /// 0 is smoothed, 1 the picture, above sharper; at most [`limits::MAX_ENHANCE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharpness: Option<f32>,
    /// Standard deviation of a Gaussian blur in pixels of the result; at most [`limits::MAX_BLUR`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blur: Option<f32>,
}

impl Post {
    /// Whether it changes nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// How many times as wide and as high the result is.
    pub fn scale(&self) -> u32 {
        self.upscale.unwrap_or(1)
    }

    /// Checks every bound, for a picture of this size in pixels.
    ///
    /// # Errors
    /// The first field that cannot be used, as `post.blur`.
    pub fn check(&self, (width, height): (u32, u32)) -> Result<(), ApiError> {
        let scale = self.scale();
        if ![1, 2, 4].contains(&scale) {
            return Err(ApiError::field("post.upscale", format!("Upscale must be 1, 2 or 4, not {scale}")));
        }
        let side = width.max(height);
        if side.saturating_mul(scale) > limits::MAX_RESULT_SIDE {
            let most = limits::MAX_RESULT_SIDE;
            let message = format!("{side} pixels enlarged {scale} times are more than {most}");
            return Err(ApiError::field("post.upscale", message));
        }
        check("brightness", self.brightness, limits::MAX_ENHANCE)?;
        check("contrast", self.contrast, limits::MAX_ENHANCE)?;
        check("sharpness", self.sharpness, limits::MAX_ENHANCE)?;
        check("blur", self.blur, limits::MAX_BLUR)
    }
}

fn check(name: &str, value: Option<f32>, most: f32) -> Result<(), ApiError> {
    match value {
        // The range test is false for NaN, so NaN is refused here too.
        Some(value) if !(0.0..=most).contains(&value) => {
            Err(ApiError::field(&format!("post.{name}"), format!("{name} must be 0 to {most}, not {value}")))
        }
        _ => Ok(()),
    }
}

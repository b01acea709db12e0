//! A picture as a data URL.

use base64::{Engine, prelude::BASE64_STANDARD};

/// A PNG as a data URL.
pub(crate) fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))
}

//! A picture as a file that remembers how it was made.

use base64::{Engine, prelude::BASE64_STANDARD};
use fresco_api::Params;
use fresco_diffusion::Picture;

/// The iTXt keyword under which a PNG carries its parameters as JSON.
const KEYWORD: &str = "fresco";

/// A PNG with its parameters inside.
pub(crate) fn png(picture: &Picture, params: &Params) -> Vec<u8> {
    let software = concat!("Fresco ", env!("CARGO_PKG_VERSION"));
    let parameters = serde_json::to_string(params).unwrap_or_default();
    picture.png(&[("Software", software), (KEYWORD, &parameters)])
}

/// A PNG as a data URL.
pub(crate) fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))
}

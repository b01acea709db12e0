//! The model inside the program: small, and there on a machine that has nothing else.

use super::{BrokenModel, Entry, Model, ModelFiles};
use fresco_api::{ApiError, ErrorCode, ModelInfo};
use rust_embed::RustEmbed;
use std::{borrow::Cow, sync::Arc};

/// Its files. The only copy in the program; the page's bundle leaves them out.
#[derive(RustEmbed)]
#[folder = "../public/models/fresco-tiny"]
pub(crate) struct Weights;

/// The name by which requests and the page's `/weights/` paths know it.
pub(crate) const NAME: &str = "fresco-tiny";

/// A catalogue entry, written by whoever made the model.
const INFO: &str = "fresco.json";

pub(super) fn entry() -> Entry {
    let info = read().map_err(|error| BrokenModel { id: NAME.into(), error })?;
    Ok(Arc::new(Model { info, files: ModelFiles::Embedded }))
}

fn read() -> Result<ModelInfo, ApiError> {
    let bad = |reason: String| ApiError::new(ErrorCode::BadModel, format!("{INFO}: {reason}")).at("model");
    let file = bytes(INFO).ok_or_else(|| bad("is missing".to_owned()))?;
    let info: ModelInfo = serde_json::from_slice(&file).map_err(|error| bad(error.to_string()))?;
    if info.id.0 == NAME { Ok(info) } else { Err(bad(format!("the id is {}, not {NAME}", info.id))) }
}

/// One file's bytes.
pub(super) fn bytes(file: &str) -> Option<Cow<'static, [u8]>> {
    Weights::get(file).map(|file| file.data)
}

//! What the page and the worker share, and the page's pure logic: plain values that test natively.
//!
//! The two programs of this crate lie beside it: `app` (the page) and `worker` (the tab's engine).

pub mod form;
pub mod protocol;
pub mod state;
#[cfg(target_arch = "wasm32")]
pub mod wait;
pub mod words;

/// The catalogue entry that the page offers; its files lie under `weights/` beside the page.
pub const DEFAULT_MODEL: &str = "fresco-tiny";

/// Where a model's file lies, relative to the page.
pub fn weights_path(model: &str, file: &str) -> String {
    format!("weights/{model}/{file}")
}

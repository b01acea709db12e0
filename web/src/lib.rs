//! What the page and the worker share, and the page's pure logic: plain values that test natively.
//!
//! The three programs of this crate lie beside it: `app` (the page), `worker` (the tab's engine) and `store` (models on
//! their way into this browser).

pub mod catalogue;
pub mod fit;
pub mod form;
pub mod inputs;
#[cfg(target_arch = "wasm32")]
pub mod opfs;
pub mod own;
pub mod protocol;
pub mod shelf;
pub mod state;
#[cfg(target_arch = "wasm32")]
pub mod wait;
pub mod words;

/// The catalogue entry that the page always has; its files lie under `weights/` beside the page.
pub const DEFAULT_MODEL: &str = "fresco-tiny";

/// Where a model's file lies, relative to the page.
pub fn weights_path(model: &str, file: &str) -> String {
    format!("weights/{model}/{file}")
}

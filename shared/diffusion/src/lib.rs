//! Text-to-image diffusion on Burn: models, schedulers, tokenizers and one denoising loop.
//!
//! The crate does no IO: files come through [`Source`], progress goes out through [`Observer`], and
//! the same code runs in a browser tab (WebGPU or CPU) and natively. Activations are NHWC.

mod classify;
pub mod config;
pub mod device;
mod error;
pub mod family;
mod finish;
pub mod fit;
pub mod model;
pub mod noise;
mod observer;
mod picture;
mod pipeline;
pub mod post;
pub mod preview;
pub mod prompt;
mod run;
pub mod schedule;
mod source;
mod start;
mod style;
pub mod tiles;
pub mod tokenizer;
mod upscale;
pub mod weights;

pub use classify::Classifier;
pub use device::{Candidate, Device, DeviceKind};
pub use error::{LoadError, RunError};
pub use family::{Component, FamilyName, Part, Shelves};
pub use finish::FastDecoder;
pub use observer::{Observer, Silent, Stage};
pub use picture::{Latents, Output, Picture};
pub use pipeline::{Facts, LoadOptions, Pipeline};
pub use source::{Source, SourceError};
pub use start::{Input, Mask, Prepared, Start};
pub use style::Style;
pub use tiles::Tiling;
pub use upscale::Upscaler;
pub use weights::Precision;

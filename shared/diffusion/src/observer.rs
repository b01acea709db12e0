//! How a run tells where it is, and how it is stopped.

use crate::Picture;
use std::{future::Future, ops::ControlFlow};

/// A point that loading or a run has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Weights are read; bytes so far and in all.
    Loading {
        /// Bytes read.
        loaded: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The prompt goes through the text encoder.
    Encoding,
    /// `step` of `of` denoising steps are done; 0 says that denoising starts.
    Step {
        /// Steps done.
        step: u32,
        /// Steps in all.
        of: u32,
    },
    /// The latents go through the autoencoder.
    Decoding,
}

/// Hears of every stage, and may stop the work there.
///
/// The call is awaited: in a browser it is the place to yield to the event loop, so that a cancel
/// message can arrive.
pub trait Observer {
    /// `stage` is reached. `Break` cancels.
    fn reached(&mut self, stage: Stage) -> impl Future<Output = ControlFlow<()>>;

    /// Whether a small picture of the run so far is wanted; asked at each step but the last. How often is
    /// the observer's to say: it has a clock. Nothing is computed for one that wants none.
    fn wants_preview(&mut self) -> bool {
        false
    }

    /// The small picture that was wanted, after its step was told: a pixel for each latent position, or
    /// with a fast decoder at most 256 pixels a side.
    fn preview(&mut self, _: Picture) -> impl Future<Output = ()> {
        async {}
    }
}

/// Hears nothing and stops nothing.
pub struct Silent;

impl Observer for Silent {
    async fn reached(&mut self, _: Stage) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

//! An engine for tests: a picture that depends on the parameters alone, in as many slow steps as asked.

use super::{Bench, EngineError, Pinned, Progress, Task};
use fresco_api::{ApiError, Params};
use fresco_diffusion::{Latents, Observer, Output, Picture, Stage, post};
use std::{io, thread::sleep, time::Duration};

/// A prompt that makes the fake panic in its first step, as a lost device makes Burn do.
pub const PANIC_PROMPT: &str = "panic";

/// Starts the fake on the same kind of thread as the real one; each step takes `step`.
///
/// # Errors
/// When the system gives no thread.
pub fn start(step: Duration) -> io::Result<Pinned> {
    Pinned::start(move || Fake { step })
}

/// A prompt that makes the fake panic as a device does whose memory is gone.
pub const MEMORY_PROMPT: &str = "too large";

struct Fake {
    step: Duration,
}

impl Bench for Fake {
    fn open(&mut self) -> Result<String, ApiError> {
        Ok("fake".to_owned())
    }

    fn run(&mut self, task: &Task, mut progress: Progress) -> Result<Output, EngineError> {
        let params = &task.params;
        assert!(params.prompt != PANIC_PROMPT, "the fake device is lost");
        assert!(params.prompt != MEMORY_PROMPT, "wgpu error: Out of Memory");
        let loading = (0..=4).map(|loaded| Stage::Loading { loaded, total: 4 });
        let steps = (0..=params.steps).map(|step| Stage::Step { step, of: params.steps });
        for stage in loading.chain([Stage::Encoding]).chain(steps).chain([Stage::Decoding]) {
            if matches!(stage, Stage::Step { step: 1.., .. }) {
                sleep(self.step);
            }
            if progress.tell(stage).is_break() {
                return Err(EngineError::Cancelled);
            }
            if matches!(stage, Stage::Step { step, of } if (1..of).contains(&step)) && progress.wants_preview() {
                let small = Picture { width: 1, height: 1, rgb: vec![0; 3] };
                futures_executor::block_on(progress.preview(small));
            }
        }
        let Output { picture, latents } = output(params);
        let picture = match &task.pictures {
            Some(pictures) => pictures.finish(picture),
            None => picture,
        };
        Ok(Output { picture, latents })
    }
}

/// One plain colour, drawn from the seed and the prompt.
fn output(params: &Params) -> Output {
    let mixed =
        params.prompt.bytes().fold(params.seed, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let [red, green, blue, ..] = mixed.to_le_bytes();
    let pixels = params.width as usize * params.height as usize;
    let picture = Picture { width: params.width, height: params.height, rgb: [red, green, blue].repeat(pixels) };
    Output { picture: post::apply(picture, &params.post), latents: Latents { shape: [1, 1, 1, 1], values: vec![0.0] } }
}

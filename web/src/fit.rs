//! Whether a model can run in this tab, told before it is fetched and before it is loaded.
//!
//! Estimates from sizes alone. A browser says how large one buffer may be, and not how much memory a GPU has.

use crate::{protocol::DeviceInfo, words::gigabytes};
use fresco_api::{ModelInfo, published::Published};

/// A WebAssembly program addresses 4 GiB, and some of it is taken.
const HEAP: u64 = 3_500_000_000;
/// Bytes of one number on the device, and of one of a model whose weights stay in half precision there.
const WIDTH: u64 = 4;
const HALF: u64 = 2;
/// Numbers from which on weights stay in half precision: below, the time it takes to widen them is worth more than the
/// memory.
const LARGE: u64 = 500_000_000;

/// What a picture takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Numbers that the model consists of.
    pub parameters: u64,
    /// The weights on the device.
    pub weights: u64,
    /// What a run needs besides.
    pub work: u64,
}

impl Need {
    /// All of it.
    pub fn bytes(self) -> u64 {
        self.weights + self.work
    }
}

/// Whether a tab can do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It can, as far as anybody can tell.
    Fits(String),
    /// It may; the browser does not say.
    Perhaps(String),
    /// It cannot.
    TooLarge(String),
}

impl Fit {
    /// The sentence.
    pub fn words(&self) -> &str {
        match self {
            Fit::Fits(words) | Fit::Perhaps(words) | Fit::TooLarge(words) => words,
        }
    }
}

/// Whether a model of so many numbers keeps its weights in half precision. The processor would widen them at each step,
/// and what is that large does not fit into its memory either way.
pub fn halved(parameters: u64, gpu: bool) -> bool {
    gpu && parameters >= LARGE
}

/// What a square picture of `side` pixels takes.
pub fn need(info: &ModelInfo, side: u32, gpu: bool) -> Need {
    let published = || Published::find(&info.id.0).map_or(0, Published::parameters);
    // Files that are known are counted; nearly all of them are in half precision.
    let parameters = if info.bytes > 0 { info.bytes / 2 } else { published() };
    let width = if halved(parameters, gpu) { HALF } else { WIDTH };
    Need { parameters, weights: parameters * width, work: work(side) }
}

/// Two predictions of a denoiser of eight maps of 320 channels at the latents' size, or the decoder's last level of
/// three maps of 256 channels at the picture's, whichever is more; in f32.
fn work(side: u32) -> u64 {
    let positions = u64::from(side / 8).pow(2);
    (positions * 320 * 8 * 4 * 2).max(u64::from(side).pow(2) * 256 * 3 * 4)
}

/// Whether this tab can make a picture of `side` pixels with a model.
pub fn fit(info: &ModelInfo, side: u32, device: Option<&DeviceInfo>) -> Fit {
    let gpu = device.is_none_or(|device| device.gpu);
    let need = need(info, side, gpu);
    let all = gigabytes(need.bytes());
    let precision = if halved(need.parameters, gpu) { "f16" } else { "f32" };
    let about = format!(
        "{} million parameters; about {all} at {side} × {side} in {precision}, {} of it weights",
        need.parameters / 1_000_000,
        gigabytes(need.weights)
    );
    match device {
        Some(device) if !device.gpu && need.bytes() > HEAP => Fit::TooLarge(format!(
            "{about}. Without a GPU a tab can use {} at most: choose this machine, or a browser with WebGPU",
            gigabytes(HEAP)
        )),
        Some(device) if device.gpu && largest(info, side) > device.binding => Fit::TooLarge(format!(
            "{about}. This browser's GPU takes {} in one piece at most, and a piece of {} is needed",
            gigabytes(device.binding),
            gigabytes(largest(info, side))
        )),
        Some(device) if !device.gpu => Fit::Fits(format!("{about}, in the tab's own memory")),
        Some(_) if need.bytes() > 1_000_000_000 => {
            Fit::Perhaps(format!("{about}. Browsers do not say how much memory the GPU has"))
        }
        Some(_) => Fit::Fits(format!("{about}, on the GPU")),
        None => Fit::Perhaps(about),
    }
}

/// The largest tensor of a run in one piece: a text encoder's table of words, or the decoder's last level.
fn largest(info: &ModelInfo, side: u32) -> u64 {
    let need = need(info, side, true);
    let words: u64 = if need.parameters > 1_500_000_000 { 1280 } else { 1024 };
    (49_408 * words * WIDTH).min(need.weights).max(u64::from(side).pow(2) * 128 * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(id: &str) -> ModelInfo {
        Published::find(id).and_then(Published::info).expect("an entry")
    }

    fn device(gpu: bool, binding: u64) -> DeviceInfo {
        DeviceInfo { gpu, name: String::new(), software: false, note: None, binding }
    }

    #[test]
    fn the_needs_of_sd_turbo_are_those_of_its_parameters() {
        let on_gpu = need(&info("sd-turbo"), 512, true);
        assert_eq!((on_gpu.parameters, on_gpu.weights), (1_289_952_427, 2_579_904_854));
        assert_eq!(on_gpu.work, 512 * 512 * 256 * 3 * 4);
        assert_eq!(need(&info("sd-turbo"), 512, false).weights, 5_159_809_708);
    }

    #[test]
    fn what_cannot_run_is_told_before_it_is_fetched() {
        let turbo = info("sd-turbo");
        let on_processor = fit(&turbo, 512, Some(&device(false, 0)));
        assert!(matches!(&on_processor, Fit::TooLarge(words) if words.contains("Without a GPU")), "{on_processor:?}");
        let small = fit(&turbo, 512, Some(&device(true, 128 << 20)));
        assert!(matches!(&small, Fit::TooLarge(words) if words.contains("in one piece")), "{small:?}");
        let large = fit(&turbo, 512, Some(&device(true, 1 << 30)));
        assert!(matches!(&large, Fit::Perhaps(words) if words.contains("1289 million")), "{large:?}");
        assert!(matches!(fit(&turbo, 512, None), Fit::Perhaps(_)));
    }

    #[test]
    fn a_small_model_fits_everywhere() {
        let tiny = ModelInfo { demo: true, bytes: 13_000_000, ..info("fresco-tiny") };
        for device in [device(false, 0), device(true, 128 << 20)] {
            let told = fit(&tiny, 128, Some(&device));
            assert!(matches!(told, Fit::Fits(_)), "{told:?}");
        }
        let own = ModelInfo { id: "mine".into(), bytes: 2_000_000_000, ..tiny };
        assert_eq!(need(&own, 512, true).parameters, 1_000_000_000);
    }
}

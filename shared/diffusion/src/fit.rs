//! Whether a model fits a device: bytes of weights and of what is computed, known from headers and configuration
//! alone, and what is saved where they do not fit.

mod words;
mod work;

use crate::{
    Facts, Part, Tiling,
    weights::{Footprint, Precision},
};
use serde::Serialize;

pub use words::{TooLarge, human};
pub use work::Work;

/// On a device whose memory nobody knows, more f32 weights than this are not tried.
const UNKNOWN: u64 = 4 << 30;

/// What is done to need less memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Savings {
    /// In how many bits weights stay on the device.
    pub precision: Precision,
    /// Text encoders are there only while a prompt is read, and nothing else is then.
    pub offload: bool,
    /// The autoencoder works in tiles.
    pub tiled: bool,
    /// TAESD decodes, if there is one: of lower quality.
    pub fast_decoder: bool,
}

/// What a user insists on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// This precision and no other.
    pub precision: Option<Precision>,
    /// Text encoders leave the device, or stay.
    pub offload: Option<bool>,
}

/// Where the bytes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// Weights of the text encoders.
    pub text: u64,
    /// Weights of the denoiser.
    pub denoiser: u64,
    /// Weights of the autoencoder.
    pub autoencoder: u64,
    /// What a step computes with.
    pub step: u64,
    /// What decoding computes with.
    pub decode: u64,
    /// The most at any moment.
    pub peak: u64,
    /// What stays between two runs.
    pub resting: u64,
}

/// A model as memory sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Its parts with their weights.
    pub parts: Vec<(Part, Footprint)>,
    /// What a run holds besides.
    pub work: Work,
}

impl Facts {
    /// The model as memory sees it.
    pub fn outline(&self) -> Outline {
        Outline {
            parts: self.components.iter().map(|component| (component.part, component.footprint)).collect(),
            work: self.work,
        }
    }
}

impl Savings {
    /// How the autoencoder is to work for a picture of `size`.
    pub fn tiling(&self, work: &Work, size: (u32, u32)) -> Tiling {
        if self.tiled { Tiling::Within(work.decode_tiled(size)) } else { Tiling::Auto }
    }
}

impl Outline {
    /// Whether the files hold 16 bits or less, so that 16 bits lose nothing.
    pub fn is_narrow(&self) -> bool {
        self.parts.iter().all(|(_, footprint)| !footprint.is_wide())
    }

    /// What a picture of `size` takes, with guidance.
    pub fn need(&self, size: (u32, u32), savings: Savings) -> Need {
        let bytes = |part: Part, precision: Precision| -> u64 {
            self.parts.iter().filter(|(each, _)| *each == part).map(|(_, bytes)| bytes.at(precision)).sum()
        };
        let precision = savings.precision;
        let (text, denoiser) = (bytes(Part::Text, precision), bytes(Part::Denoiser, precision));
        let autoencoder = bytes(Part::Autoencoder, precision.of_autoencoder());
        let decode = match savings {
            Savings { fast_decoder: true, .. } => self.work.decode_fast(size),
            Savings { tiled: true, .. } => self.work.decode_tiled(size),
            _ => self.work.decode(size),
        };
        let step = self.work.step(size, 2);
        // A packed layer is f32 while it runs. Text encoders run before anything else is computed.
        let packed = |(part, _): &&(Part, Footprint)| *part != Part::Text && precision != Precision::F32;
        let layer = self.parts.iter().filter(packed).map(|(_, bytes)| bytes.largest()).max().unwrap_or_default();
        let (step, decode) = (step + layer, decode + layer);
        let rest = denoiser + autoencoder;
        let (peak, resting) = match savings.offload {
            true => (text.max(rest + step.max(decode)), rest),
            false => (text + rest + step.max(decode), text + rest),
        };
        Need { text, denoiser, autoencoder, step, decode, peak, resting }
    }

    /// Every setting that is tried, the most generous first; each includes those before it.
    ///
    /// Where the files hold 16 bits, keeping these loses nothing and comes first. Slower but exact savings come before
    /// those that change the picture.
    pub fn ladder(&self) -> Vec<Savings> {
        let first = Savings::default();
        let halved = |savings: Savings| Savings { precision: Precision::F16, ..savings };
        let offloaded = |savings: Savings| Savings { offload: true, ..savings };
        let tiled = |savings: Savings| Savings { tiled: true, ..savings };
        let mut rungs = match self.is_narrow() {
            true => vec![first, halved(first), offloaded(halved(first)), tiled(offloaded(halved(first)))],
            false => vec![first, offloaded(first), tiled(offloaded(first)), halved(tiled(offloaded(first)))],
        };
        rungs.push(Savings { precision: Precision::Q8, offload: true, tiled: true, fast_decoder: false });
        rungs
    }

    /// What helps beyond the ladder, for somebody to decide on: it is seen in the picture.
    pub fn beyond(&self) -> [Savings; 2] {
        let tiny = Savings { precision: Precision::Q8, offload: true, tiled: true, fast_decoder: true };
        [tiny, Savings { precision: Precision::Q4, ..tiny }]
    }

    /// The most generous setting with which a picture of `size` fits into `room`, and what it needs.
    ///
    /// Where nobody knows the room, nothing is refused.
    ///
    /// # Errors
    /// Nothing that is done by itself makes it fit.
    pub fn plan(&self, size: (u32, u32), room: Option<u64>, wish: Wish) -> Result<(Savings, Need), TooLarge> {
        let mut rungs = self.ladder();
        for savings in &mut rungs {
            savings.precision = wish.precision.unwrap_or(savings.precision);
            savings.offload = wish.offload.unwrap_or(savings.offload);
        }
        let with_need = |savings: &Savings| (*savings, self.need(size, *savings));
        let Some(room) = room else {
            let light = |savings: &&Savings| {
                self.need(size, **savings).resting <= UNKNOWN || savings.precision != Precision::F32
            };
            let found = rungs.iter().find(light).or(rungs.first());
            return Ok(with_need(found.unwrap_or(&Savings::default())));
        };
        let found = rungs.iter().map(with_need).find(|(_, need)| need.peak <= room);
        found.ok_or_else(|| {
            let least = rungs.iter().map(|savings| self.need(size, *savings).peak).min().unwrap_or_default();
            TooLarge::new(self, size, least, room)
        })
    }
}

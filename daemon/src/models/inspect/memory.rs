//! How much memory a picture takes, under settings that take ever less. Estimates, from sizes alone.

use super::{Part, Role};
use serde::Serialize;
use std::fmt;

/// What is done to save memory; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Thrift {
    /// Every component on the device at once, weights as f32.
    Nothing,
    /// Weights as f16.
    HalfWeights,
    /// Text encoders leave the device once the prompt is read.
    TextOffloaded,
    /// The picture is decoded in tiles of 256 pixels.
    TiledVae,
    /// One component on the device at a time.
    OneAtATime,
}

impl Thrift {
    /// Every setting, the most generous first.
    pub const ALL: [Thrift; 5] =
        [Thrift::Nothing, Thrift::HalfWeights, Thrift::TextOffloaded, Thrift::TiledVae, Thrift::OneAtATime];
}

impl fmt::Display for Thrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Thrift::Nothing => "everything loaded, f32 weights",
            Thrift::HalfWeights => "everything loaded, f16 weights",
            Thrift::TextOffloaded => "and text encoders offloaded",
            Thrift::TiledVae => "and the VAE tiled",
            Thrift::OneAtATime => "and one component at a time",
        })
    }
}

/// What a picture takes under one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// The setting.
    pub thrift: Thrift,
    /// The most bytes on the device at any moment.
    pub bytes: u64,
}

/// What a square picture of `side` pixels takes, with guidance, for each setting.
pub fn needs(parts: &[Part], side: u32) -> Vec<Need> {
    Thrift::ALL.iter().map(|thrift| Need { thrift: *thrift, bytes: need(parts, side, *thrift) }).collect()
}

fn need(parts: &[Part], side: u32, thrift: Thrift) -> u64 {
    let width = if thrift == Thrift::Nothing { 4 } else { 2 };
    let of =
        |role: Role| parts.iter().filter(|part| part.role == role).map(|part| part.parameters).sum::<u64>() * width;
    let (text, denoiser) = (of(Role::TextEncoder), of(Role::Denoiser));
    let vae = of(Role::Vae) + of(Role::Other);
    let step = step(parts, side);
    let decode = decode(if thrift >= Thrift::TiledVae { side.min(256) } else { side });
    match thrift {
        Thrift::Nothing | Thrift::HalfWeights => text + denoiser + vae + step.max(decode),
        Thrift::TextOffloaded | Thrift::TiledVae => text.max(denoiser + vae + step.max(decode)),
        Thrift::OneAtATime => text.max(denoiser + step).max(vae + decode),
    }
}

/// Two predictions at once, f32. A UNet keeps some eight maps of 320 channels at the latents' full size, a
/// transformer some sixteen of 2432 channels at a quarter of its positions.
fn step(parts: &[Part], side: u32) -> u64 {
    let positions = u64::from(side / 8).pow(2);
    let transformer = parts.iter().any(|part| part.name == "transformer");
    if transformer { positions / 4 * 2432 * 16 * 4 * 2 } else { positions * 320 * 8 * 4 * 2 }
}

/// The decoder's last levels have 256 channels at the picture's full size, and three such maps at once, f32.
fn decode(side: u32) -> u64 {
    u64::from(side).pow(2) * 256 * 3 * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{inspect::published, published::Published};

    #[test]
    fn each_setting_takes_less() {
        for id in ["sd-turbo", "sd-1.5", "sdxl-base", "sd3.5-large"] {
            let entry = Published::find(id).expect("an entry");
            let side = entry.defaults.as_ref().expect("defaults").side;
            let bytes: Vec<u64> = needs(&published(entry), side).iter().map(|need| need.bytes).collect();
            assert!(bytes.is_sorted_by(|more, less| more >= less), "{id}: {bytes:?}");
            assert!(bytes[0] > 2 * bytes[4] && bytes[4] > 1 << 30, "{id}: {bytes:?}");
        }
    }
}

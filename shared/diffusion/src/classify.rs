//! What a picture shows, by a small classifier on the engine that paints.

mod names;

use crate::{
    Device, LoadError, Observer, Picture, RunError, Source, SourceError,
    config::{Sight, VitConfig},
    model::vit::Vit,
    post,
    run::read,
    weights::{self, Listing, Progress, Weights, tensor},
};
use burn::tensor::{Tensor, activation};
use fresco_kernels::Fast;
use std::{future::Future, ops::Range};

/// A classifier of pictures.
pub struct Classifier {
    config: VitConfig,
    network: Vit,
    device: Device,
}

/// Words in a label that mean that a picture is not for everybody's eyes, in the published classifiers.
const UNSAFE: [&str; 5] = ["nsfw", "porn", "hentai", "sexy", "explicit"];

impl Classifier {
    /// Reads `config.json`, `preprocessor_config.json` (where there is one) and `model.safetensors`.
    ///
    /// # Errors
    /// A file is missing or damaged, or of a kind that is not built; or the observer cancelled it.
    pub async fn load(source: &impl Source, device: &Device, observer: &mut impl Observer) -> Result<Self, LoadError> {
        let config = VitConfig::read(source).await?;
        let files = weights::files(source, "model").await?;
        let listing = names::unified(weights::listing(source, &files).await?)?;
        let mut progress = Progress::of(source, &files).await?;
        let renamed = Renamed { source, listing };
        let mut weights = Weights::open(&renamed, &files, device, observer, &mut progress).await?;
        let network = Vit::load(weights.root(), &config, device).await?;
        Ok(Self { config, network, device: device.clone() })
    }

    /// Every label with its probability, the likeliest first.
    ///
    /// # Errors
    /// The picture has no pixels, or the device failed.
    pub async fn classify(&self, picture: &Picture) -> Result<Vec<(&str, f32)>, RunError> {
        let side = self.config.side;
        let input: Tensor<4> = tensor(seen(picture, side as u32, &self.config.sight), [1, side, side, 3], &self.device);
        let scores = read(activation::softmax(self.network.forward(&Fast, input), 1)).await?;
        let mut named: Vec<_> = self.config.labels.iter().map(String::as_str).zip(scores).collect();
        named.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(named)
    }

    /// How likely it is, 0 to 1, that the picture is not for everybody's eyes.
    ///
    /// # Errors
    /// As [`Self::classify`].
    pub async fn unsafety(&self, picture: &Picture) -> Result<f32, RunError> {
        let named = self.classify(picture).await?;
        Ok(named.into_iter().filter(|(label, _)| is_unsafe(label)).map(|(_, likely)| likely).sum())
    }
}

fn is_unsafe(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    UNSAFE.iter().any(|word| label.contains(word))
}

/// The picture as the network wants it: `side * side * 3` values, row by row.
fn seen(picture: &Picture, side: u32, sight: &Sight) -> Vec<f32> {
    let square = match sight.crops {
        true => cropped(picture, side, sight),
        false => post::resize_by(picture, (side, side), sight.filter),
    };
    let channel = |(i, value): (usize, &u8)| (f32::from(*value) / 255.0 - sight.mean[i]) / sight.deviation[i];
    square.rgb.chunks_exact(3).flat_map(|pixel| pixel.iter().enumerate().map(channel)).collect()
}

/// The shorter side at `side`, the middle of the longer one.
fn cropped(picture: &Picture, side: u32, sight: &Sight) -> Picture {
    let (short, long) = (picture.width.min(picture.height).max(1), picture.width.max(picture.height));
    let scaled = u32::try_from(u64::from(long) * u64::from(side) / u64::from(short)).unwrap_or(u32::MAX);
    // A ribbon would become one of millions of pixels; nothing of it could be recognised anyhow.
    let scaled = scaled.clamp(side, 16 * side);
    let wide = picture.width > picture.height;
    let size = if wide { (scaled, side) } else { (side, scaled) };
    let whole = post::resize_by(picture, size, sight.filter);
    let skipped = ((scaled - side) / 2) as usize;
    let (rows, columns) = if wide { (0, skipped) } else { (skipped, 0) };
    let side = side as usize;
    let lines = whole.rgb.chunks_exact(3 * size.0.max(1) as usize).skip(rows).take(side);
    let rgb = lines.flat_map(|line| line.iter().skip(3 * columns).take(3 * side)).copied().collect();
    Picture { width: side as u32, height: side as u32, rgb }
}

/// A source whose tensors are known by other names.
struct Renamed<'a, S> {
    source: &'a S,
    listing: Listing,
}

impl<S: Source> Source for Renamed<'_, S> {
    fn len(&self, file: &str) -> impl Future<Output = Result<Option<u64>, SourceError>> {
        self.source.len(file)
    }

    fn read(&self, file: &str, range: Range<u64>) -> impl Future<Output = Result<Vec<u8>, SourceError>> {
        self.source.read(file, range)
    }

    fn listing(&self, _: &str) -> Option<&Listing> {
        Some(&self.listing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_wide_picture_is_seen_and_the_middle_of_a_high_one() {
        let mut wide = Picture { width: 12, height: 4, rgb: vec![0; 144] };
        for row in wide.rgb.chunks_exact_mut(36) {
            row[12..24].fill(255);
        }
        let sight = Sight { crops: true, mean: [0.0; 3], deviation: [1.0; 3], ..Sight::default() };
        assert!(seen(&wide, 4, &sight).iter().all(|value| *value == 1.0));
        let mut high = Picture { width: 4, height: 12, rgb: vec![0; 144] };
        high.rgb[48..96].fill(255);
        assert!(seen(&high, 4, &sight).iter().all(|value| *value == 1.0));
        let squashed = seen(&wide, 4, &Sight { crops: false, ..sight });
        assert!(squashed.iter().any(|value| *value < 0.5));
    }

    #[test]
    fn labels_of_the_published_classifiers_are_told_apart() {
        for (label, expected) in [("NSFW", true), ("SFW", false), ("nsfw", true), ("normal", false), ("porn", true)] {
            assert_eq!(is_unsafe(label), expected, "{label}");
        }
    }
}

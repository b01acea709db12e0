//! A finished picture four times as wide and high, by a network: RRDB, as ESRGAN and Real-ESRGAN publish it.
//!
//! The picture goes through the network in tiles that overlap, so that memory does not grow with it.

use crate::{
    Device, LoadError, Observer, Picture, RunError, Silent, Source, Stage,
    model::rrdb::{Rrdb, Sizes},
    weights::{Listing, Progress, Weights, tensor},
};
use fresco_api::{ApiError, limits};
use std::ops::ControlFlow;

/// Pixels a side of what a tile adds to the picture.
const TILE: u32 = 192;
/// Pixels that a tile sees beyond that: further away the network looks little (Real-ESRGAN's tiles overlap by 10).
const MARGIN: u32 = 16;

/// An enlarging network on a device.
pub struct Upscaler {
    network: Rrdb,
    device: Device,
}

impl Upscaler {
    /// How many times as wide and as high the result is.
    pub const FACTOR: u32 = 4;

    /// Reads a safetensors file in Real-ESRGAN's names (`conv_first`, `body.0.rdb1.conv1`…), of any number of blocks.
    ///
    /// # Errors
    /// The file is missing, damaged or of another kind.
    pub async fn load(source: &impl Source, file: &str, device: &Device) -> Result<Self, LoadError> {
        let (files, mut silent) = ([file.to_owned()], Silent);
        let mut progress = Progress::of(source, &files).await?;
        let mut weights = Weights::open(source, &files, device, &mut silent, &mut progress).await?;
        let sizes = sizes(file, weights.listing())?;
        Ok(Self { network: Rrdb::load(weights.root(), sizes).await?, device: device.clone() })
    }

    /// The picture enlarged.
    ///
    /// # Errors
    /// The result would be larger than pictures may be, the observer cancelled it, or the device failed.
    pub async fn enlarge(&self, picture: &Picture, observer: &mut impl Observer) -> Result<Picture, RunError> {
        let (width, height) = (picture.width, picture.height);
        let side = width.max(height);
        if side.saturating_mul(Self::FACTOR) > limits::MAX_RESULT_SIDE {
            let most = limits::MAX_RESULT_SIDE;
            let message = format!("{side} pixels enlarged {} times are more than {most}", Self::FACTOR);
            return Err(RunError::Request(ApiError::field("upscaler", message)));
        }
        let (wide, high) = (width * Self::FACTOR, height * Self::FACTOR);
        let mut enlarged = Picture { width: wide, height: high, rgb: vec![0; wide as usize * high as usize * 3] };
        for top in (0..height).step_by(TILE as usize) {
            for left in (0..width).step_by(TILE as usize) {
                if let ControlFlow::Break(()) = observer.reached(Stage::Decoding).await {
                    return Err(RunError::Cancelled);
                }
                let tile = Tile { across: Span::new(left, width), down: Span::new(top, height) };
                tile.put(&self.tile(tile, picture).await?, &mut enlarged);
            }
        }
        Ok(enlarged)
    }

    /// What the network makes of a tile: values of three channels around 0 to 1.
    async fn tile(&self, tile: Tile, picture: &Picture) -> Result<Vec<f32>, RunError> {
        let shape = [1, tile.down.seen() as usize, tile.across.seen() as usize, 3];
        let x = tensor(tile.pixels(picture), shape, &self.device);
        let y = self.network.forward(fresco_kernels::fast(), x);
        let data = y.into_data_async().await.map_err(|error| RunError::Device(error.to_string()))?;
        let values: Vec<f32> = data.try_into_vec().map_err(|error| RunError::Device(format!("{error:?}")))?;
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(RunError::NotFinite("the upscaler")),
        }
    }
}

/// The network's sizes, from the shapes of its tensors.
fn sizes(file: &str, listing: &Listing) -> Result<Sizes, LoadError> {
    let shape = |name: &str| listing.shape(name);
    let (Some([width, channels, ..]), Some([growth, ..])) =
        (shape("conv_first.weight"), shape("body.0.rdb1.conv1.weight"))
    else {
        let what = "is no RRDB network in Real-ESRGAN's names (conv_first, body.0.rdb1.conv1)";
        return Err(LoadError::bad(file, what));
    };
    if *channels != 3 {
        return Err(LoadError::unsupported(file, format!("a network that takes {channels} channels, not 3")));
    }
    let blocks = (0..).take_while(|i| shape(&format!("body.{i}.rdb1.conv1.weight")).is_some()).count();
    Ok(Sizes { blocks, width: *width, growth: *growth })
}

/// A stretch of rows or columns: what is added to the picture, and what is seen around it.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    first_seen: u32,
    last_seen: u32,
}

impl Span {
    fn new(start: u32, length: u32) -> Self {
        let end = (start + TILE).min(length);
        Self { start, end, first_seen: start.saturating_sub(MARGIN), last_seen: (end + MARGIN).min(length) }
    }

    fn seen(self) -> u32 {
        self.last_seen - self.first_seen
    }
}

/// A part of the picture.
#[derive(Clone, Copy)]
struct Tile {
    across: Span,
    down: Span,
}

impl Tile {
    /// What it sees, in 0 to 1.
    fn pixels(self, picture: &Picture) -> Vec<f32> {
        let row = |y: u32| {
            let at = |x: u32| (y as usize * picture.width as usize + x as usize) * 3;
            &picture.rgb[at(self.across.first_seen)..at(self.across.last_seen)]
        };
        let rows = (self.down.first_seen..self.down.last_seen).flat_map(row);
        rows.map(|byte| f32::from(*byte) / 255.0).collect()
    }

    /// Puts its own part of the network's `values` into the enlarged picture.
    fn put(self, values: &[f32], enlarged: &mut Picture) {
        let factor = Upscaler::FACTOR as usize;
        let (seen, wide) = (self.across.seen() as usize * factor, enlarged.width as usize);
        let skipped = (self.across.start - self.across.first_seen) as usize * factor;
        let length = (self.across.end - self.across.start) as usize * factor * 3;
        for y in self.down.start as usize * factor..self.down.end as usize * factor {
            let from = ((y - self.down.first_seen as usize * factor) * seen + skipped) * 3;
            let to = (y * wide + self.across.start as usize * factor) * 3;
            let row = enlarged.rgb[to..to + length].iter_mut().zip(&values[from..from + length]);
            row.for_each(|(byte, value)| *byte = (value.clamp(0.0, 1.0) * 255.0).round() as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tiles that give back each pixel sixteen times put together the picture, each pixel sixteen times.
    #[test]
    fn tiles_cover_the_picture_and_nothing_twice() {
        let (width, height) = (TILE + 40, 2 * TILE + 1);
        let rgb = (0..width * height * 3).map(|i| (i % 251) as u8).collect();
        let picture = Picture { width, height, rgb };
        let (wide, high) = (width * 4, height * 4);
        let mut enlarged = Picture { width: wide, height: high, rgb: vec![0; wide as usize * high as usize * 3] };
        for top in (0..height).step_by(TILE as usize) {
            for left in (0..width).step_by(TILE as usize) {
                let tile = Tile { across: Span::new(left, width), down: Span::new(top, height) };
                let (seen, pixels) = (tile.across.seen() as usize, tile.pixels(&picture));
                let value = |x: usize, y: usize| pixels[((y / 4) * seen + x / 4) * 3..][..3].to_vec();
                let rows = tile.down.seen() as usize * 4;
                let values: Vec<f32> = (0..rows)
                    .flat_map(|y| (0..seen * 4).flat_map(move |x| [(x, y)]))
                    .flat_map(|(x, y)| value(x, y))
                    .collect();
                tile.put(&values, &mut enlarged);
            }
        }
        for (i, pixel) in enlarged.rgb.chunks_exact(3).enumerate() {
            let (x, y) = (i % wide as usize / 4, i / wide as usize / 4);
            let from = (y * width as usize + x) * 3;
            assert_eq!(pixel, &picture.rgb[from..from + 3], "pixel {x}, {y}");
        }
    }
}

//! Autoencoders: 16 channels, the tiny one, RRDB; tiles against the whole; fits of previews.

use crate::{BLOCK, files::golden};
use burn::tensor::{Tensor, TensorData};
use fresco_diffusion::{
    Device, Latents, Picture, Silent, Tiling,
    config::VaeConfig,
    model::{
        rrdb::{Rrdb, Sizes},
        taesd,
        vae::{self, Decoder, Encoder},
    },
    preview::{Projection, probe},
    tiles,
    weights::{Progress, Weights},
};
use fresco_kernels::Fast;
use fresco_tests::{
    golden::{Golden, assert_close_nhwc, read, relative_error},
    memory::Memory,
    synthetic::{Recipe, values},
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Sums come in another order in tiles, and nothing else differs.
const TILES: f64 = 1e-5;

#[derive(Deserialize)]
struct Case {
    config: Value,
    recipe: Recipe,
}

impl Case {
    /// A folder of the model alone, as diffusers writes it.
    fn folder(&self) -> Memory {
        let config = self.config.to_string();
        let file = self.recipe.file();
        Memory::new(&[("m/config.json", config.as_bytes()), ("m/diffusion_pytorch_model.safetensors", &file)])
    }
}

fn kl() -> Case {
    serde_json::from_slice(golden!("vaes.json")).expect("the golden is whole")
}

fn tiny() -> BTreeMap<String, Case> {
    serde_json::from_slice(golden!("taesd.json")).expect("the golden is whole")
}

/// An NCHW tensor by formula, as NHWC.
fn nhwc(name: &str, shape: [usize; 4], scale: f64, offset: f64, on: &Device) -> Tensor<4> {
    let data = TensorData::new(values(name, shape.iter().product(), scale, offset), shape);
    Tensor::<4>::from_data(data, on).permute([0, 2, 3, 1])
}

async fn autoencoder(on: &Device) -> (VaeConfig, Decoder, Encoder) {
    vae::open(&kl().folder(), "m", on, &mut Silent).await.expect("it loads")
}

pub async fn sixteen_channels(on: &Device) {
    let golden = Golden::new(golden!("vaes.safetensors"));
    let (config, decoder, encoder) = autoencoder(on).await;
    let shift = config.shift_factor.expect("it has one");
    let latents = nhwc("vaes.latents", [1, 16, 6, 9], 2.0, 0.0, on) / config.scaling_factor + shift;
    assert_close_nhwc("vae", decoder.forward(&Fast, latents), &golden, "image", BLOCK).await;
    let y = encoder.forward(&Fast, nhwc("vaes.picture", [1, 3, 20, 28], 1.0, 0.0, on));
    let [n, h, w, c] = y.dims();
    let mean = y.clone().slice([0..n, 0..h, 0..w, 0..c / 2]);
    assert_close_nhwc("vae", mean, &golden, "mean", BLOCK).await;
    assert_close_nhwc("vae", y.slice([0..n, 0..h, 0..w, c / 2..c]), &golden, "logvar", BLOCK).await;
}

/// diffusers' names in one file, and the original's in two.
pub async fn tiny_autoencoders(on: &Device) {
    let golden = Golden::new(golden!("taesd.safetensors"));
    for (name, channels) in [("sd", 4), ("sd3", 16)] {
        let case = &tiny()[name];
        let (config, decoder, encoder) = taesd::open(&case.folder(), "m", on, &mut Silent).await.expect("it loads");
        let factor = config.factor() as usize;
        let latents = || nhwc(&format!("{name}.latents"), [1, channels, 5, 7], 4.0, 0.0, on);
        let picture = || nhwc(&format!("{name}.picture"), [1, 3, 6 * factor, 4 * factor], 1.0, 0.0, on);
        let (image, encoded) = (format!("{name}.image"), format!("{name}.encoded"));
        assert_close_nhwc(name, decoder.forward(&Fast, latents()), &golden, &image, BLOCK).await;
        assert_close_nhwc(name, encoder.forward(&Fast, picture()), &golden, &encoded, BLOCK).await;

        let file = original(&case.recipe, "decoder", 1);
        let (mut silent, mut progress) = (Silent, Progress::default());
        let files = ["f".to_owned()];
        let mut weights = Weights::open(&file, &files, on, &mut silent, &mut progress).await.expect("it opens");
        let decoder = taesd::Decoder::load(weights.root(), &config).await.expect("it loads");
        assert_close_nhwc(name, decoder.forward(&Fast, latents()), &golden, &image, BLOCK).await;
        let file = original(&case.recipe, "encoder", 0);
        let mut weights = Weights::open(&file, &files, on, &mut silent, &mut progress).await.expect("it opens");
        let encoder = taesd::Encoder::load(weights.root(), &config).await.expect("it loads");
        assert_close_nhwc(name, encoder.forward(&Fast, picture()), &golden, &encoded, BLOCK).await;
    }
}

/// One side's weights under the original's names: bare numbers, of which the decoder's count its clamp.
///
/// Values go by diffusers' names, so the file is put together from its tensors.
fn original(recipe: &Recipe, side: &str, more: usize) -> Memory {
    let whole = recipe.file();
    let tensors = safetensors::SafeTensors::deserialize(&whole).expect("it is whole");
    let prefix = format!("{side}.layers.");
    let renamed = tensors.iter().filter_map(|(name, view)| {
        let (number, rest) = name.strip_prefix(&prefix)?.split_once('.')?;
        Some((format!("{}.{rest}", number.parse::<usize>().ok()? + more), view))
    });
    Memory::new(&[("f", &safetensors::serialize(renamed, None).expect("it can be written"))])
}

pub async fn enlarging_network(on: &Device) {
    let golden = Golden::new(golden!("taesd.safetensors"));
    let case = &tiny()["rrdb"];
    let file = Memory::new(&[("f", &case.recipe.file())]);
    let (mut silent, mut progress) = (Silent, Progress::default());
    let mut weights = Weights::open(&file, &["f".to_owned()], on, &mut silent, &mut progress).await.expect("it opens");
    let sizes = Sizes { blocks: 2, width: 8, growth: 4 };
    let network = Rrdb::load(weights.root(), sizes).await.expect("it loads");
    let y = network.forward(&Fast, nhwc("rrdb.picture", [1, 3, 6, 5], 0.5, 0.5, on));
    assert_close_nhwc("rrdb", y, &golden, "rrdb.image", BLOCK).await;
}

/// Tiles of every size, with little memory and with much, give what the whole gives.
pub async fn tiled(on: &Device) {
    let (config, decoder, encoder) = autoencoder(on).await;
    let (h, w, factor) = (21, 34, config.factor() as usize);
    let latents = || nhwc("tiles.latents", [2, 16, h, w], 2.0, 0.0, on);
    let pictures = || nhwc("tiles.pictures", [2, 3, h * factor, w * factor], 1.0, 0.0, on);
    let whole = [
        read(tiles::decode(&Fast, &decoder, latents(), Tiling::Off)).await,
        read(tiles::encode(&Fast, &encoder, pictures(), Tiling::Off)).await,
    ];
    let peak = tiles::peak_bytes(&decoder.local(), [2, h, w, decoder.entry_channels()]);
    let tight = [Tiling::Within(peak - 1), Tiling::Within(peak / 4), Tiling::Within(1)];
    for tiling in tight.into_iter().chain([Tiling::Size(5), Tiling::Size(8), Tiling::Size(64)]) {
        let parts = [
            read(tiles::decode(&Fast, &decoder, latents(), tiling)).await,
            read(tiles::encode(&Fast, &encoder, pictures(), tiling)).await,
        ];
        for (what, (part, whole)) in ["decoded", "encoded"].iter().zip(parts.iter().zip(&whole)) {
            let error = relative_error(part, whole);
            println!("{what} in tiles, {tiling:?}: off by {error:.1e}");
            assert!(error <= TILES, "{what} in tiles, {tiling:?}: off by {error:.1e}");
        }
    }
    // What fits is not cut: exactly the same computation.
    for tiling in [Tiling::Auto, Tiling::Within(2 * peak)] {
        assert_eq!(read(tiles::decode(&Fast, &decoder, latents(), tiling)).await, whole[0], "{tiling:?}");
    }
}

/// A picture that is a linear function of its latents is found again.
pub async fn projections(_: &Device) {
    let latents = probe(3);
    let [_, _, h, w] = latents.shape;
    let at = |channel: usize, i: usize| latents.values[channel * h * w + i];
    let colour = |i: usize| [0.2 * at(0, i) + 0.1, 0.2 * at(1, i), 0.15 * at(2, i) - 0.1 * at(0, i)];
    let byte = |x: f32| ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
    let (width, height) = (w as u32 * 2, h as u32 * 2);
    let place = |i: usize| i / (4 * w) * w + i % (2 * w) / 2;
    let rgb = (0..4 * h * w).flat_map(|i| colour(place(i)).map(byte)).collect();
    let projection = Projection::fit(&latents, &Picture { width, height, rgb }).expect("it is determined");
    let shown = projection.picture(&latents);
    assert_eq!((shown.width as usize, shown.height as usize), (w, h));
    let expected: Vec<u8> = (0..h * w).flat_map(|i| colour(i).map(byte)).collect();
    let worst = shown.rgb.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(1), "off by {worst:?}");

    let wrong = Picture { width: 5, height: 5, rgb: vec![0; 75] };
    assert_eq!(Projection::fit(&latents, &wrong), None, "a picture of another size");
    let flat = Latents { values: vec![f32::NAN; latents.values.len()], ..latents };
    let grey = Picture { width, height, rgb: vec![128; 12 * h * w] };
    assert_eq!(Projection::fit(&flat, &grey), None, "latents that are no numbers");
}

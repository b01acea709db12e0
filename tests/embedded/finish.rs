//! How the embedded model's pictures are finished: tiles, previews, changes.

use crate::{
    model::{Folder, block_on, folder, info, params, pipeline},
    prompts::decode,
};
use burn::tensor::{Tensor, TensorData};
use fresco_api::Post;
use fresco_diffusion::{
    Device, Observer, Picture, Silent, Stage, Tiling,
    model::vae::{self, Decoder, Encoder},
    post, tiles,
};
use fresco_kernels::Fast;
use fresco_tests::golden::{read, relative_error};
use std::ops::ControlFlow;

/// Pixels of a drawn sheet that the autoencoder is tried on: sixteen scenes with hard borders.
const SIDE: usize = 512;
/// Latent positions of a tile.
const TILE: usize = 24;

fn autoencoder() -> (Decoder, Encoder) {
    let opened = block_on(vae::open(&Folder(folder()), "vae", &Device::flex(), &mut Silent));
    let (_, decoder, encoder) = opened.expect("the autoencoder loads");
    (decoder, encoder)
}

/// The upper left of a sheet of drawings, -1 to 1.
fn sheet() -> Tensor<4> {
    let sheet = decode(include_bytes!("../reference/tiny/data/scorer.png"));
    let rows = sheet.rgb.chunks_exact(sheet.width as usize * 3).take(SIDE);
    let values: Vec<f32> = rows.flat_map(|row| row[..SIDE * 3].iter().map(|x| f32::from(*x) / 127.5 - 1.0)).collect();
    Tensor::from_data(TensorData::new(values, [1, SIDE, SIDE, 3]), &Device::flex())
}

/// The largest and the mean difference, in steps of 255.
fn differences(a: &[f32], b: &[f32]) -> (f32, f32) {
    let all = || a.iter().zip(b).map(|(a, b)| (a - b).abs() * 127.5);
    (all().fold(0.0, f32::max), all().sum::<f32>() / a.len() as f32)
}

/// The mean step between neighbours in a row, over the columns for which `at` holds.
fn step(picture: &[f32], at: impl Fn(usize) -> bool) -> f32 {
    let rows = picture.chunks_exact(SIDE * 3);
    let steps = rows.flat_map(|row| (1..SIDE).map(move |x| (x, (row[x * 3] - row[x * 3 - 3]).abs())));
    let chosen: Vec<f32> = steps.filter(|(x, _)| at(*x)).map(|(_, step)| step * 127.5).collect();
    chosen.iter().sum::<f32>() / chosen.len() as f32
}

/// A picture in tiles is the whole picture, and has no step where tiles meet.
#[test]
fn tiles_leave_no_seam() {
    let (decoder, encoder) = autoencoder();
    let moments = tiles::encode(&Fast, &encoder, sheet(), Tiling::Off);
    let tiled = tiles::encode(&Fast, &encoder, sheet(), Tiling::Size(TILE));
    let error = relative_error(&block_on(read(tiled)), &block_on(read(moments.clone())));
    println!("moments in tiles: off by {error:.1e}");
    assert!(error <= 1e-4, "moments in tiles: off by {error:.1e}");

    let [n, h, w, c] = moments.dims();
    let latents = moments.slice([0..n, 0..h, 0..w, 0..c / 2]);
    let peak = tiles::peak_bytes(&decoder.local(), [n, h, w, decoder.entry_channels()]);
    let whole = block_on(read(tiles::decode(&Fast, &decoder, latents.clone(), Tiling::Off)));
    for tiling in [Tiling::Size(TILE), Tiling::Within(peak / 6)] {
        let tiled = block_on(read(tiles::decode(&Fast, &decoder, latents.clone(), tiling)));
        let (most, mean) = differences(&tiled, &whole);
        let border = |x: usize| x.is_multiple_of(TILE * 8);
        let (at, elsewhere) = (step(&tiled, border), step(&tiled, |x| !border(x)));
        let before = step(&whole, border);
        println!("{tiling:?}: off by {most:.1e} at most, {mean:.1e} in the mean, of 255");
        println!("steps at borders {at:.4} (whole {before:.4}), elsewhere {elsewhere:.4}");
        assert!(most <= 0.05, "{tiling:?}: a value is off by {most} of 255");
        assert!((at - before).abs() <= 1e-3, "{tiling:?}: steps of {at} at borders, {before} in the whole");
    }
}

/// Keeps the last preview.
#[derive(Default)]
struct Watcher(Option<Picture>);

impl Observer for Watcher {
    async fn reached(&mut self, _: Stage) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn wants_preview(&mut self) -> bool {
        true
    }

    async fn preview(&mut self, picture: Picture) {
        self.0 = Some(picture);
    }
}

/// The last preview shows what the finished picture shows, seen from afar.
#[test]
fn previews_look_like_the_picture() {
    let mut sum = 0.0;
    let prompts = ["hills by day, a red house on the left", "the sea at night, a yellow boat", "desert at sunset"];
    for (seed, prompt) in prompts.iter().enumerate() {
        let mut watcher = Watcher::default();
        let output = block_on(pipeline().generate(&params(prompt, seed as u64), &mut watcher)).expect("it runs");
        let preview = watcher.0.expect("there was a preview");
        let small = post::resize(&output.picture, (preview.width, preview.height));
        let likeness = correlation(&preview.rgb, &small.rgb);
        println!("{prompt}: preview and picture correlate by {likeness:.3}");
        sum += likeness;
    }
    let mean = sum / prompts.len() as f64;
    assert!(mean >= 0.85, "previews and pictures correlate by {mean:.3}");
}

fn correlation(a: &[u8], b: &[u8]) -> f64 {
    let mean = |values: &[u8]| values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let product = |x: &[u8], mx: f64, y: &[u8], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (f64::from(*x) - mx) * (f64::from(*y) - my)).sum()
    };
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

/// A request's changes are made to the picture that it gives without them.
#[test]
fn changes_are_made_to_the_finished_picture() {
    let plain = params("hills by day, a red house on the left", 3);
    let changes = Post { upscale: Some(2), contrast: Some(1.4), ..Post::default() };
    let changed = crate::model::generate(&fresco_api::Params { post: changes, ..plain.clone() });
    let picture = crate::model::generate(&plain).picture;
    assert_eq!(changed.picture.width, 2 * info().default_side);
    assert_eq!(changed.picture, post::apply(picture, &changes));
}

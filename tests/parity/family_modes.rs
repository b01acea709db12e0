//! SDXL and SD3 with pictures, as the reference's pipelines: image to image, inpainting, nine channels.

use crate::{
    RUN,
    families::{Family, sd3, sd3_folder, sdxl, sdxl_folder},
    files::golden,
};
use fresco_api::{Params, Sampler};
use fresco_diffusion::{Device, Mask, Picture, Pipeline, Silent, Start};
use fresco_tests::{
    golden::{Golden, relative_error},
    memory::Memory,
    synthetic::Recipe,
};

const SIZE: (u32, u32) = (24, 16);
/// Mode and strength; neither strength is a whole number of six steps, so that how a family rounds shows.
const MODES: [(&str, f32); 2] = [("img2img", 0.7), ("inpaint", 0.8)];

fn modes() -> Family {
    let index = serde_json::from_slice(golden!("family_modes.json")).expect("the golden is whole");
    Family { index, golden: Golden::new(golden!("family_modes.safetensors")) }
}

fn params() -> Params {
    Params {
        prompt: "a red house beside a frozen lake at sunset, highly detailed".to_owned(),
        negative_prompt: "blurry, rainy day".to_owned(),
        width: SIZE.0,
        height: SIZE.1,
        steps: 6,
        guidance_scale: 5.0,
        sampler: Sampler::Euler,
        seed: 11,
        model: "golden".into(),
        ..Default::default()
    }
}

/// A folder with one part made otherwise.
fn replace(folder: &mut Memory, part: &str, config: String, base: Recipe, over: Recipe) {
    let mut recipe = base;
    recipe.0.extend(over.0);
    *folder.file(&format!("{part}/config.json")) = config.into_bytes();
    *folder.file(&format!("{part}/diffusion_pytorch_model.safetensors")) = recipe.file();
}

async fn run(name: &str, folder: &Memory, modes_of: &[(&str, f32)], on: &Device) {
    let golden = modes().golden;
    let pipeline = Pipeline::load(folder, on, &mut Silent).await.expect("it loads");
    let picture = Picture { width: SIZE.0, height: SIZE.1, rgb: golden.bytes("picture").to_vec() };
    let row: Vec<u8> = (0..SIZE.0).map(|x| if x < SIZE.0 / 2 { 0 } else { 255 }).collect();
    let mask = Mask { width: SIZE.0, height: SIZE.1, repaint: row.repeat(SIZE.1 as usize) };
    for (mode, strength) in modes_of.iter().copied() {
        let label = format!("{name}.{mode}");
        let mask = (mode == "inpaint").then_some(&mask);
        let start = Start { picture: &picture, strength, mask, style: None };
        let output = pipeline.transform(&params(), &start, &mut Silent).await.expect("it runs");
        let error = relative_error(&output.latents.values, &golden.values(&label));
        assert!(error <= RUN, "{label}: latents are off by {error:.1e}");
    }
}

pub async fn sdxl_transforms(on: &Device) {
    let (family, mut folder) = (sdxl(), sdxl_folder());
    run("sdxl", &folder, &MODES, on).await;
    let said = modes();
    replace(&mut folder, "unet", said.text("nine"), family.recipe("unet"), said.recipe("nine"));
    run("sdxl.nine", &folder, &MODES[1..], on).await;
}

pub async fn sd3_transforms(on: &Device) {
    let (said, mut folder) = (modes(), sd3_folder());
    let (medium, vae) = (sd3().recipe("medium"), sdxl().recipe("vae"));
    replace(&mut folder, "transformer", said.text("transformer"), medium, said.recipe("transformer"));
    replace(&mut folder, "vae", said.text("vae"), vae, said.recipe("vae"));
    run("sd3", &folder, &MODES, on).await;
}

//! Runs that start from a picture: image to image and inpainting, as the reference's pipelines.

use crate::{
    RUN,
    files::{Model, models},
};
use fresco_api::{Params, Sampler};
use fresco_diffusion::{Device, Mask, Picture, Pipeline, RunError, Silent, Start};
use fresco_tests::golden::relative_error;

fn params(model: &Model) -> Params {
    let side = model.transform.shape::<3>("picture")[0] as u32;
    Params {
        prompt: "a red house beside a frozen lake at sunset, highly detailed".to_owned(),
        negative_prompt: "blurry, rainy day".to_owned(),
        width: side,
        height: side,
        steps: 6,
        guidance_scale: 5.0,
        sampler: Sampler::Euler,
        seed: 11,
        model: "golden".into(),
        ..Default::default()
    }
}

fn picture(model: &Model) -> Picture {
    let [height, width, _] = model.transform.shape("picture");
    Picture { width: width as u32, height: height as u32, rgb: model.transform.bytes("picture").to_vec() }
}

fn mask(model: &Model) -> Mask {
    let [height, width] = model.transform.shape("mask");
    Mask { width: width as u32, height: height as u32, repaint: model.transform.bytes("mask").to_vec() }
}

pub async fn image_to_image(on: &Device) {
    for model in models() {
        let pipeline = Pipeline::load(&model.folder, on, &mut Silent).await.expect("it loads");
        let picture = picture(&model);
        let start = Start { picture: &picture, strength: 0.7, mask: None, style: None };
        let output = pipeline.transform(&params(&model), &start, &mut Silent).await.expect("it runs");
        let error = relative_error(&output.latents.values, &model.transform.values("img2img.final_latents"));
        assert!(error <= RUN, "{}: latents are off by {error:.1e}", model.name);
        let expected = model.transform.bytes("img2img.image");
        assert_eq!(output.picture.rgb.len(), expected.len());
        let worst = output.picture.rgb.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{}: a pixel is off by {worst:?}", model.name);
    }
}

pub async fn inpainting(on: &Device) {
    for model in models() {
        let pipeline = Pipeline::load(&model.folder, on, &mut Silent).await.expect("it loads");
        let (picture, mask) = (picture(&model), mask(&model));
        let start = Start { picture: &picture, strength: 0.8, mask: Some(&mask), style: None };
        let output = pipeline.transform(&params(&model), &start, &mut Silent).await.expect("it runs");
        let error = relative_error(&output.latents.values, &model.transform.values("inpaint.final_latents"));
        assert!(error <= RUN, "{}: latents are off by {error:.1e}", model.name);
        let expected = model.transform.bytes("inpaint.image");
        assert_eq!(output.picture.rgb.len(), expected.len());
        for (i, (pixel, reference)) in output.picture.rgb.chunks_exact(3).zip(expected.chunks_exact(3)).enumerate() {
            let (x, y) = (i as u32 % picture.width, i as u32 / picture.width);
            if mask.at(x, y) {
                assert!(pixel.iter().zip(reference).all(|(a, b)| a.abs_diff(*b) <= 1), "{}: {x},{y}", model.name);
            } else {
                assert_eq!(pixel, &picture.rgb[3 * i..3 * i + 3], "{}: {x},{y} is put back", model.name);
            }
        }
    }
}

pub async fn refusals(on: &Device) {
    let [model, _] = models();
    let pipeline = Pipeline::load(&model.folder, on, &mut Silent).await.expect("it loads");
    let picture = picture(&model);
    let small = Picture { width: 8, height: 8, rgb: vec![0; 192] };
    let short = Mask { repaint: vec![0; 5], ..mask(&model) };
    let cases = [
        ("strength", Start { picture: &picture, strength: 0.0, mask: None, style: None }),
        ("strength", Start { picture: &picture, strength: 1.1, mask: None, style: None }),
        ("strength", Start { picture: &picture, strength: f32::NAN, mask: None, style: None }),
        ("strength", Start { picture: &picture, strength: 0.1, mask: None, style: None }),
        ("initImage", Start { picture: &small, strength: 0.5, mask: None, style: None }),
        ("mask", Start { picture: &picture, strength: 0.5, mask: Some(&short), style: None }),
    ];
    for (field, start) in cases {
        match pipeline.transform(&params(&model), &start, &mut Silent).await {
            Err(RunError::Request(error)) => assert_eq!(error.field.as_deref(), Some(field), "{error}"),
            other => panic!("{field}: {other:?}"),
        }
    }
}

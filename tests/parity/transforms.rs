//! Runs that start from a picture: image to image and inpainting, as the reference's pipelines.

use crate::{
    RUN,
    files::{Model, a, golden, models},
};
use fresco_api::{Edit, Params, ResizeMode, Sampler};
use fresco_diffusion::{Device, Input, Mask, Picture, Pipeline, Prepared, RunError, Silent, Start};
use fresco_tests::{
    golden::{Golden, relative_error},
    memory::Memory,
    synthetic,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

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

fn modes() -> Golden<'static> {
    Golden::new(golden!("modes.safetensors"))
}

/// The model with nine channels at its denoiser's entrance, by the reference script's formula.
fn nine_channels(mut folder: Memory) -> Memory {
    const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
    let config = folder.file("unet/config.json");
    let text = String::from_utf8(config.clone()).expect("text");
    *config = text.replace("\"in_channels\": 4", "\"in_channels\": 9").into_bytes();
    let file = folder.file(UNET).clone();
    let tensors = SafeTensors::deserialize(&file).expect("the file is whole");
    let first = tensors.tensor("conv_in.bias").expect("the layer").data().len() / 4;
    let shape = vec![first, 9, 3, 3];
    let values = synthetic::values("inpaint9.conv_in.weight", first * 81, 0.004, 0.0);
    let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
    let wide = TensorView::new(Dtype::F32, shape, &bytes).expect("as many bytes as the shape says");
    let views = tensors.tensors().into_iter().map(|(name, view)| match name.as_str() {
        "conv_in.weight" => (name, wide.clone()),
        _ => (name, view),
    });
    *folder.file(UNET) = safetensors::serialize(views, None).expect("the file can be written");
    folder
}

/// Inpainting with a checkpoint that takes mask and masked picture, from the picture and from noise alone;
/// and from noise alone with one that takes neither.
pub async fn inpainting_checkpoints(on: &Device) {
    let (model, golden) = (a(), modes());
    let (picture, whole) = (picture(&model), mask(&model));
    let ragged = Mask { repaint: golden.bytes("inpaint.mask").to_vec(), ..whole.clone() };
    let four = Pipeline::load(&model.folder, on, &mut Silent).await.expect("it loads");
    let nine = Pipeline::load(&nine_channels(model.folder.clone()), on, &mut Silent).await.expect("it loads");
    let cases = [
        ("inpaint4.1", &four, 1.0, &whole),
        ("inpaint9.1", &nine, 1.0, &ragged),
        ("inpaint9.0.8", &nine, 0.8, &ragged),
    ];
    for (name, pipeline, strength, mask) in cases {
        let start = Start { picture: &picture, strength, mask: Some(mask), style: None };
        let output = pipeline.transform(&params(&model), &start, &mut Silent).await.expect("it runs");
        let error = relative_error(&output.latents.values, &golden.values(&format!("{name}.final_latents")));
        assert!(error <= RUN, "{name}: latents are off by {error:.1e}");
        let pixels = output.picture.rgb.chunks_exact(3).zip(picture.rgb.chunks_exact(3)).zip(&mask.repaint);
        assert!(pixels.into_iter().all(|((new, old), repaint)| *repaint == 255 || new == old), "{name}: put back");
    }
    let bare = nine.generate(&params(&model), &mut Silent).await;
    assert!(matches!(bare, Err(RunError::Request(_))), "{bare:?}");
}

/// Pictures are resized as the reference's are, to the last bit but one.
pub async fn resizing(_: &Device) {
    let (golden, model) = (modes(), a());
    for (from, to) in [((40, 30), (17, 23)), ((24, 16), (64, 40)), ((33, 20), (12, 50))] {
        let (name, count) = (format!("resize.{}x{}.{}x{}", from.0, from.1, to.0, to.1), from.0 * from.1 * 3);
        let rgb = synthetic::values(&name, count as usize, 127.5, 127.5).into_iter().map(|x| x as u8).collect();
        let input = Input { picture: Picture { width: from.0, height: from.1, rgb }, alpha: None };
        let edit = Edit::Img2img { init_image: String::new(), strength: 0.5, resize_mode: ResizeMode::Stretch };
        let params = Params { width: to.0, height: to.1, edit: Some(edit), ..params(&model) };
        let prepared = Prepared::new(&params, vec![input]).expect("it is prepared");
        let (ours, reference) = (&prepared.start().picture.rgb, golden.bytes(&name));
        assert_eq!(ours.len(), reference.len(), "{name}");
        let worst = ours.iter().zip(reference).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{name}: a value is off by {worst:?}");
    }
}

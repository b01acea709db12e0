//! Strengths as the reference counts them, sizes that a model takes, and echoes that can be read again.

use super::*;
use crate::{AnyRequest, Img2img, Inpaint, Request, Sampler, StyleTransfer};

fn model() -> ModelInfo {
    ModelInfo {
        id: "m".into(),
        name: "M".into(),
        description: String::new(),
        demo: true,
        latent_factor: 8,
        min_side: 64,
        max_side: 512,
        default_side: 128,
        default_steps: 8,
        default_guidance: 4.0,
        default_sampler: Sampler::Euler,
        samplers: Sampler::ALL.to_vec(),
        ..ModelInfo::default()
    }
}

#[test]
fn a_share_of_the_steps_is_counted_in_decimals() {
    // The product in doubles, as `int(steps * strength)` in Python.
    for hundredths in 0..=100u32 {
        for steps in 1..=150u32 {
            let expected = (f64::from(steps) * (f64::from(hundredths) / 100.0)) as u32;
            let strength = hundredths as f32 / 100.0;
            assert_eq!(walked_steps(steps, strength, false), expected, "{hundredths} % of {steps}");
            // Stable Diffusion 3: `n - int(n - n * strength)`.
            let left_out = (f64::from(steps) - f64::from(steps) * (f64::from(hundredths) / 100.0)) as u32;
            let expected = if hundredths == 0 { 0 } else { steps - left_out };
            assert_eq!(walked_steps(steps, strength, true), expected, "{hundredths} % of {steps} of a flow");
        }
    }
    assert_eq!((walked_steps(10, 0.7, false), walked_steps(10, 0.75, false), walked_steps(10, 0.75, true)), (7, 7, 8));
    for flow in [false, true] {
        let walked = [f32::NAN, -1.0, 9.0].map(|strength| walked_steps(10, strength, flow));
        assert_eq!(walked, [0, 0, 10]);
    }
}

#[test]
fn a_run_has_the_pictures_size_where_the_model_takes_it() {
    let size = |width, height, picture| {
        let image = ImageRequest { prompt: "x".into(), width, height, ..Default::default() };
        let request = Request { image, mode: Img2img::default() };
        request.resolve(&model(), 0, picture).map(|params| (params.width, params.height)).expect("is accepted")
    };
    assert_eq!(size(None, None, (200, 120)), (200, 120));
    assert_eq!(size(None, None, (203, 125)), (200, 128), "whole latents");
    assert_eq!(size(None, None, (4096, 2048)), (512, 256), "no larger than the model takes");
    assert_eq!(size(None, None, (16, 32)), (64, 128), "nor smaller");
    assert_eq!(size(None, None, (4096, 16)), (512, 64), "proportions give way at both ends");
    assert_eq!(size(Some(256), None, (200, 100)), (256, 128));
    assert_eq!(size(None, Some(256), (200, 100)), (512, 256));
    assert_eq!(size(Some(64), Some(72), (200, 100)), (64, 72));
}

#[test]
fn a_canvas_and_a_region_have_sizes_of_their_own() {
    let size = |mode: Inpaint| {
        let image = ImageRequest { prompt: "x".into(), ..Default::default() };
        let params = Request { image, mode }.resolve(&model(), 0, (200, 120)).expect("is accepted");
        (params.width, params.height)
    };
    let outpaint = Some(Outpaint { left: 40, bottom: 8, ..Outpaint::default() });
    assert_eq!(size(Inpaint { outpaint, ..Inpaint::default() }), (240, 128));
    assert_eq!(size(Inpaint { only_masked: Some(true), ..Inpaint::default() }), (128, 128));
    let image = ImageRequest { prompt: "x".into(), ..Default::default() };
    let mode = Inpaint { only_masked: Some(true), outpaint, ..Inpaint::default() };
    let error = Request { image, mode }.resolve(&model(), 0, (200, 120)).expect_err("is refused");
    assert_eq!(error.field.as_deref(), Some("onlyMasked"));
}

#[test]
fn a_jobs_echo_is_read_back_as_what_it_was() {
    let image = ImageRequest { prompt: "x".into(), seed: Some(u64::MAX), ..Default::default() };
    let requests = [
        AnyRequest::Text2img(image.clone()),
        Request { image: image.clone(), mode: Img2img { init_image: "a".into(), ..Default::default() } }.into(),
        Request {
            image: image.clone(),
            mode: Inpaint { image: "b".into(), mask_blur: Some(4.0), ..Default::default() },
        }
        .into(),
        Request {
            image,
            mode: StyleTransfer { content_image: "c".into(), style_image: "d".into(), ..Default::default() },
        }
        .into(),
    ];
    for request in requests {
        let text = serde_json::to_string(&request).expect("JSON");
        assert_eq!(serde_json::from_str::<AnyRequest>(&text).expect(&text), request);
    }
}

//! Every bound of a request, with the field that its error names.

use crate::{ErrorCode, ImageRequest, ModelInfo, Sampler, SigmaSchedule, limits};

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
        default_sampler: Sampler::Plms,
        samplers: Sampler::ALL.iter().copied().filter(|sampler| *sampler != Sampler::Heun).collect(),
        ..ModelInfo::default()
    }
}

fn field_of(json: serde_json::Value) -> Option<String> {
    let request: ImageRequest = serde_json::from_value(json).expect("parses");
    let error = request.resolve(&model(), 7).expect_err("is refused");
    assert_eq!(error.code, ErrorCode::InvalidField);
    error.field
}

#[test]
fn defaults_come_from_the_model() {
    let request: ImageRequest = serde_json::from_str(r#"{"prompt":"a tent"}"#).expect("parses");
    let params = request.resolve(&model(), 7).expect("is accepted");
    assert_eq!((params.width, params.height, params.steps, params.seed), (128, 128, 8, 7));
}

#[test]
fn each_bad_field_is_named() {
    use serde_json::json;
    let cases = [
        ("prompt", json!({"prompt": " "})),
        ("prompt", json!({"prompt": "é".repeat(limits::MAX_PROMPT_CHARS + 1)})),
        ("negativePrompt", json!({"prompt": "x", "negativePrompt": "x".repeat(100_000)})),
        ("negativePrompt", json!({"prompt": "x", "negativePrompt": "y <lora:ink:1>"})),
        ("width", json!({"prompt": "x", "width": 511})),
        ("width", json!({"prompt": "x", "width": 4_294_967_288u32})),
        ("height", json!({"prompt": "x", "height": 0})),
        ("steps", json!({"prompt": "x", "steps": 1_000_000_000})),
        ("steps", json!({"prompt": "x", "steps": 0})),
        ("guidanceScale", json!({"prompt": "x", "guidanceScale": -1.0})),
        ("post.brightness", json!({"prompt": "x", "post": {"brightness": -0.1}})),
        ("post.contrast", json!({"prompt": "x", "post": {"contrast": 9}})),
        ("post.sharpness", json!({"prompt": "x", "post": {"sharpness": 1e30}})),
        ("post.blur", json!({"prompt": "x", "post": {"blur": 1000}})),
        ("post.upscale", json!({"prompt": "x", "post": {"upscale": 3}})),
        ("post.upscale", json!({"prompt": "x", "post": {"upscale": 0}})),
        ("sampler", json!({"prompt": "x", "sampler": "heun"})),
        ("scheduler", json!({"prompt": "x", "sampler": "ddim", "scheduler": "karras"})),
        ("scheduler", json!({"prompt": "x", "scheduler": "beta"})),
        ("steps", json!({"prompt": "x", "sampler": "lcm", "steps": 51})),
        ("eta", json!({"prompt": "x", "sampler": "ddim", "eta": 1.5})),
        ("eta", json!({"prompt": "x", "sampler": "euler", "eta": 0.5})),
        ("clipSkip", json!({"prompt": "x", "clipSkip": 0})),
        ("clipSkip", json!({"prompt": "x", "clipSkip": 13})),
        ("loras", json!({"prompt": "x", "loras": [{"name": "../ink"}]})),
        ("loras", json!({"prompt": "x", "loras": [{"name": "ink", "weight": 99}]})),
    ];
    for (field, body) in cases {
        assert_eq!(field_of(body.clone()).as_deref(), Some(field), "{body}");
    }
}

#[test]
fn nan_guidance_is_refused() {
    let request = ImageRequest { prompt: "x".into(), guidance_scale: Some(f32::NAN), ..Default::default() };
    let error = request.resolve(&model(), 0).expect_err("is refused");
    assert_eq!(error.field.as_deref(), Some("guidanceScale"));
}

#[test]
fn a_prompt_is_counted_in_characters_not_bytes() {
    let request = ImageRequest { prompt: "é".repeat(limits::MAX_PROMPT_CHARS), ..Default::default() };
    assert!(request.resolve(&model(), 0).is_ok());
}

#[test]
fn an_unknown_sampler_lists_the_known() {
    let error = serde_json::from_str::<ImageRequest>(r#"{"prompt":"x","sampler":"magic"}"#).expect_err("is refused");
    assert!(error.to_string().contains("euler"), "{error}");
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    let error = serde_json::from_str::<ImageRequest>(r#"{"prompt":"x","stepz":3}"#).expect_err("is refused");
    assert!(error.to_string().contains("stepz"), "{error}");
}

#[test]
fn a_result_has_a_largest_side_and_numbers_that_are_numbers() {
    use crate::Post;
    let twice = Post { upscale: Some(2), ..Default::default() };
    assert!(twice.check((limits::MAX_RESULT_SIDE / 2, 8)).is_ok());
    let error = twice.check((8, limits::MAX_RESULT_SIDE / 2 + 8)).expect_err("is refused");
    assert_eq!(error.field.as_deref(), Some("post.upscale"));
    let error = Post { blur: Some(f32::NAN), ..Default::default() }.check((8, 8)).expect_err("is refused");
    assert_eq!(error.field.as_deref(), Some("post.blur"));
}

#[test]
fn what_is_left_out_is_not_written() {
    let request: ImageRequest =
        serde_json::from_str(r#"{"prompt":"x","seed":1,"preview":true,"post":{"blur":2}}"#).expect("parses");
    let params = request.resolve(&model(), 7).expect("is accepted");
    assert_eq!(params.post.blur, Some(2.0));
    let json = serde_json::to_value(&params).expect("is written");
    assert_eq!(json["post"], serde_json::json!({"blur": 2.0}));
    let plain = ImageRequest { prompt: "x".into(), ..Default::default() };
    assert_eq!(serde_json::to_value(&plain).expect("is written"), serde_json::json!({"prompt": "x"}));
    let params = plain.resolve(&model(), 7).expect("is accepted");
    assert!(serde_json::to_value(&params).expect("is written").get("post").is_none());
}

#[test]
fn the_sampler_is_the_models_own_and_a_name_may_carry_the_scheduler() {
    let params = |json: &str| {
        let request: ImageRequest = serde_json::from_str(json).expect("parses");
        let params = request.resolve(&model(), 7).expect("is accepted");
        (params.sampler, params.scheduler)
    };
    assert_eq!(params(r#"{"prompt":"x"}"#), (Sampler::Plms, SigmaSchedule::Default));
    let karras = (Sampler::Dpmpp2m, SigmaSchedule::Karras);
    assert_eq!(params(r#"{"prompt":"x","sampler":"DPM++ 2M Karras"}"#), karras);
    assert_eq!(params(r#"{"prompt":"x","sampler":"dpm++_2m","scheduler":"Karras"}"#), karras);
    let said = r#"{"prompt":"x","sampler":"DPM++ 2M Karras","scheduler":"exponential"}"#;
    assert_eq!(params(said), (Sampler::Dpmpp2m, SigmaSchedule::Exponential));
}

#[test]
fn older_parameters_still_parse() {
    let old = r#"{"prompt":"x","negativePrompt":"","width":64,"height":64,"steps":4,"guidanceScale":1.0,
        "sampler":"euler","seed":1,"model":"m"}"#;
    let params: crate::Params = serde_json::from_str(old).expect("parses");
    let written: serde_json::Value = serde_json::to_value(&params).expect("is written");
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(old).expect("parses"), "nothing new is written");
}

#[test]
fn loras_and_clip_skip_become_parameters() {
    let json = r#"{"prompt":"x","clipSkip":2,"loras":[{"name":"ink","weight":0.8},{"name":"wash","textWeight":0.1}]}"#;
    let request: ImageRequest = serde_json::from_str(json).expect("parses");
    let params = request.resolve(&model(), 7).expect("is accepted");
    assert_eq!(params.clip_skip, Some(2));
    assert_eq!((params.loras[0].weight, params.loras[1].weight, params.loras[1].in_texts()), (0.8, 1.0, 0.1));
    let written = serde_json::to_value(&params).expect("is written");
    assert_eq!((&written["clipSkip"], &written["loras"][0]["name"]), (&2.into(), &"ink".into()));
    assert!(written.get("used").is_none(), "the engine notes what was used");
    let unknown = serde_json::from_str::<ImageRequest>(r#"{"prompt":"x","used":[]}"#).expect_err("is refused");
    assert!(unknown.to_string().contains("used"), "{unknown}");
}

/// What a model cannot do is said before anything is queued, with the field at fault.
#[test]
fn what_a_model_cannot_do_is_refused() {
    use crate::{Img2img, Inpaint, Request, StyleTransfer};
    let image = |sampler: &str, scheduler: SigmaSchedule| ImageRequest {
        prompt: "x".into(),
        sampler: Some(sampler.parse().expect("a sampler")),
        scheduler: Some(scheduler),
        ..Default::default()
    };
    let flow = ModelInfo { flow: true, no_style: true, ..model() };
    for (sampler, scheduler, fits) in [
        ("euler", SigmaSchedule::Karras, true),
        ("euler", SigmaSchedule::Trailing, false),
        ("dpmpp_2m", SigmaSchedule::Default, true),
        ("dpmpp_2m", SigmaSchedule::Karras, false),
    ] {
        let request = image(sampler, scheduler);
        assert!(request.resolve(&model(), 1).is_ok(), "{sampler} {scheduler}");
        let error = request.resolve(&flow, 1).err();
        assert_eq!(error.is_none(), fits, "{sampler} {scheduler}: {error:?}");
        assert!(error.is_none_or(|error| error.field.as_deref() == Some("scheduler")));
    }
    let plain = ImageRequest { prompt: "x".into(), ..Default::default() };
    let style = Request { image: plain.clone(), mode: StyleTransfer::default() };
    assert!(style.resolve(&model(), 1, (64, 64)).is_ok());
    let error = style.resolve(&flow, 1, (64, 64)).expect_err("is refused");
    assert_eq!(error.field.as_deref(), Some("styleImage"));
    let painter = ModelInfo { needs_mask: true, ..model() };
    assert_eq!(plain.resolve(&painter, 1).expect_err("no mask").field.as_deref(), Some("mask"));
    let from = Request { image: plain.clone(), mode: Img2img::default() };
    assert_eq!(from.resolve(&painter, 1, (64, 64)).expect_err("no mask").field.as_deref(), Some("mask"));
    assert!(Request { image: plain, mode: Inpaint::default() }.resolve(&painter, 1, (64, 64)).is_ok());
}

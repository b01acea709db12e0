//! Files that a request names: LoRAs and learned words of the daemon's folders; and what a model cannot do.

use crate::support::daemon::{Daemon, config, refused};
use fresco_api::{ErrorCode, ImageRequest, Job, JobStatus, Params, routes};
use fresco_daemon::{
    config::Config,
    engine::{CancellationToken, DeviceChoice, Engine, Progress, fake, local},
    models::{Catalogue, Extras},
};
use fresco_diffusion::DeviceKind;
use reqwest::StatusCode;
use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const LAYER: &str = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_v";
const WIDTH: usize = 128;

/// An empty home of a test's own.
fn home(name: &str) -> PathBuf {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    _ = fs::remove_dir_all(&home);
    fs::create_dir_all(home.join("loras")).expect("a folder");
    home
}

/// A LoRA of rank 1 for the embedded model.
fn write_lora(file: &Path, step: f32) {
    let bytes = |count: usize| -> Vec<u8> {
        (0..count).flat_map(|i| ((i % 7) as f32 * step - 3.0 * step).to_le_bytes()).collect()
    };
    let values = bytes(WIDTH);
    let view = |shape: Vec<usize>| TensorView::new(Dtype::F32, shape, &values).expect("as many bytes as it says");
    let tensors = [
        (format!("{LAYER}.lora_A.weight"), view(vec![1, WIDTH])),
        (format!("{LAYER}.lora_B.weight"), view(vec![WIDTH, 1])),
    ];
    serialize_to_file(tensors, None, file).expect("the file is written");
}

async fn real(home: &Path) -> Daemon {
    let catalogue = Arc::new(Catalogue::new(home, Vec::new()));
    let engine = local::start(catalogue, DeviceChoice::Only(DeviceKind::Cpu)).expect("a thread");
    Daemon::with(Config::new(home.to_owned()), Arc::new(engine)).await
}

/// A completed job's picture and parameters.
async fn made(daemon: &Daemon, more: Value) -> (String, Value) {
    let mut body = json!({"prompt": "green hills by day", "seed": 3, "steps": 2});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let job: Job = daemon.submit(body).await;
    let done = daemon.wait(&job.id, |job| job.status.is_final()).await;
    assert_eq!(done.status, JobStatus::Completed, "{:?}", done.error);
    let result = done.result.expect("a result");
    // As text: a value widens its numbers.
    let parameters = serde_json::to_string(&result.parameters).expect("parameters");
    let parameters = serde_json::from_str(&parameters).expect("JSON");
    // The parameters stand in the file: the pixels are what counts.
    (pixels(&result.images[0]), parameters)
}

fn pixels(image: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let png = BASE64_STANDARD.decode(image.strip_prefix("data:image/png;base64,").expect("a data URL"));
    let mut reader = png::Decoder::new(std::io::Cursor::new(png.expect("base64"))).read_info().expect("a PNG");
    let mut rgb = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut rgb).expect("pixels");
    BASE64_STANDARD.encode(rgb)
}

#[tokio::test]
async fn a_lora_is_named_in_a_field_or_in_the_prompt_and_noted() {
    let home = home("named-loras");
    let file = home.join("loras/ink.safetensors");
    write_lora(&file, 0.1);
    let daemon = real(&home).await;
    let (plain, parameters) = made(&daemon, json!({})).await;
    assert!(parameters.get("used").is_none());
    let (listed, parameters) = made(&daemon, json!({"loras": [{"name": "ink", "weight": 0.8}]})).await;
    assert_ne!(plain, listed);
    let used = &parameters["used"][0];
    assert_eq!((&used["kind"], &used["name"], &used["weight"]), (&json!("lora"), &json!("ink"), &json!(0.8)));
    assert!(used["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:") && digest.len() == 71));
    let (named, noted) = made(&daemon, json!({"prompt": "green hills by day<lora:ink:0.8>"})).await;
    assert_eq!((&named, &noted["used"]), (&listed, &parameters["used"]));

    // The same again is known, and says the same of its files.
    let (repeated, again) = made(&daemon, json!({"loras": [{"name": "ink", "weight": 0.8}]})).await;
    assert_eq!((repeated, &again["used"]), (listed.clone(), &parameters["used"]));

    // Written over in place, under the same name: another LoRA, and another note.
    std::thread::sleep(Duration::from_millis(20));
    write_lora(&file, -0.3);
    let (other, again) = made(&daemon, json!({"loras": [{"name": "ink", "weight": 0.8}]})).await;
    assert_ne!(other, listed);
    assert_ne!(again["used"][0]["digest"], used["digest"]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_file_that_was_changed_after_it_was_noted_makes_no_picture() {
    let home = home("changed-lora");
    let file = home.join("loras/ink.safetensors");
    write_lora(&file, 0.1);
    let catalogue = Arc::new(Catalogue::new(&home, Vec::new()));
    let engine = local::start(catalogue.clone(), DeviceChoice::Only(DeviceKind::Cpu)).expect("a thread");
    let model = catalogue.find(None).expect("the embedded model");
    let request: ImageRequest =
        serde_json::from_value(json!({"prompt": "the sea", "steps": 1, "loras": [{"name": "ink"}]})).expect("parses");
    let params = request.resolve(&model.info, 5).expect("is accepted");
    let params = catalogue.noted(params, &Extras::default()).expect("it is there");
    let make =
        async |params: &Params| engine.generate(params.clone().into(), Progress::new(CancellationToken::new()).0).await;
    make(&params).await.expect("a picture");
    write_lora(&file, 0.22);
    fs::File::options()
        .append(true)
        .open(&file)
        .and_then(|file| file.set_modified(std::time::UNIX_EPOCH))
        .expect("a time");
    let error = make(&params).await.expect_err("another file");
    assert!(error.to_string().contains("ink was changed"), "{error}");
}

#[tokio::test]
async fn clip_skip_reaches_the_text_encoder() {
    let home = home("clip-skip");
    let daemon = real(&home).await;
    let (plain, _) = made(&daemon, json!({})).await;
    let (skipped, parameters) = made(&daemon, json!({"clipSkip": 2})).await;
    assert_ne!(plain, skipped);
    assert_eq!(parameters["clipSkip"], 2);
    daemon.stop().await;
}

#[tokio::test]
async fn names_that_are_not_there_are_refused_before_anything_is_queued() {
    let daemon = Daemon::start().await;
    let cases = [
        ("loras", json!({"loras": [{"name": "none"}]})),
        ("loras", json!({"loras": [{"name": "../ink"}]})),
        ("loras", json!({"loras": [{"name": "/etc/passwd"}]})),
        ("loras", json!({"loras": [{"name": "ink", "weight": 1e9}]})),
        ("loras[0].path", json!({"loras": [{"name": "ink", "path": "x"}]})),
        ("prompt", json!({"prompt": "x <lora:none:1>"})),
        ("prompt", json!({"prompt": "x embedding:none"})),
        ("negativePrompt", json!({"negativePrompt": "embedding:none"})),
        ("prompt", json!({"prompt": "x BREAK ".repeat(40)})),
        ("clipSkip", json!({"clipSkip": 13})),
        ("model", json!({"model": "sd9"})),
        ("used", json!({"used": []})),
    ];
    for (field, more) in cases {
        let mut body = json!({"prompt": "x"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let error = refused(daemon.post(routes::TEXT2IMG, &body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(error.field.as_deref(), Some(field), "{body}: {error}");
        assert!(error.message.len() < 300, "{error}");
    }
    let jobs: Vec<Job> = daemon.get(routes::JOBS).await.json().await.expect("jobs");
    assert!(jobs.is_empty());
    daemon.still_serves().await;
}

/// The embedded model's folder with some words of its configurations changed.
fn changed_model(home: &Path, name: &str, changes: &[(&str, &str, &str)]) {
    let to = home.join("models").join(name);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/models/fresco-tiny"), &to);
    for (file, from, into) in changes {
        let text = fs::read_to_string(to.join(file)).expect("a configuration");
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(to.join(file), text.replace(from, into)).expect("written");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[tokio::test]
async fn what_a_model_cannot_do_is_refused_before_anything_is_queued() {
    let home = home("unable");
    changed_model(&home, "painter", &[("unet/config.json", "\"in_channels\": 4", "\"in_channels\": 9")]);
    let flow = ("scheduler/scheduler_config.json", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler");
    changed_model(&home, "flow", &[flow]);
    let engine = fake::start(Duration::from_millis(1)).expect("a thread");
    let daemon = Daemon::with(Config { home, ..config() }, Arc::new(engine)).await;
    let cases = [
        ("mask", json!({"model": "painter"})),
        ("sampler", json!({"model": "flow", "sampler": "heun"})),
        ("scheduler", json!({"model": "flow", "scheduler": "trailing"})),
        ("scheduler", json!({"model": "flow", "sampler": "unipc", "scheduler": "karras"})),
    ];
    for (field, mut body) in cases {
        body["prompt"] = json!("x");
        let error = refused(daemon.post(routes::TEXT2IMG, &body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidField, Some(field)), "{body}: {error}");
    }
    let models: Value = daemon.get(routes::MODELS).await.json().await.expect("models");
    let find =
        |id: &str| models.as_array().expect("a list").iter().find(|model| model["id"] == id).expect("it is there");
    assert_eq!((&find("painter")["needsMask"], &find("flow")["flow"]), (&json!(true), &json!(true)));
    assert!(find("fresco-tiny").get("needsMask").is_none());
    daemon.stop().await;
}

//! Real pictures with the embedded model, on the processor.

use super::{folder, one_line_error, run, text};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::{fs, path::Path};

const REQUEST: &[&str] = &[
    "generate",
    "--prompt",
    "mountains at sunset, a red tent on the right",
    "--seed",
    "1",
    "--steps",
    "2",
    "--device",
    "cpu",
];

fn generate(more: &[&str]) -> std::process::Output {
    let output = run(&[REQUEST, more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path")
}

fn size(png: &[u8]) -> (u32, u32) {
    let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
    (reader.info().width, reader.info().height)
}

#[test]
fn a_picture_its_latents_and_a_line_about_them() {
    let place = folder("generate");
    let (file, latents) = (place.join("tent.png"), place.join("tent.safetensors"));
    let more = ["--width", "128", "--height", "64", "--json", "--out", path(&file), "--dump-latents", path(&latents)];
    let output = generate(&more);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let line: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(text(&output.stdout).lines().count(), 1);
    assert_eq!(
        (&line["seed"], &line["parameters"]["height"], &line["parameters"]["model"]),
        (&1.into(), &64.into(), &"fresco-tiny".into())
    );
    assert_eq!(line["file"], path(&file));
    assert!(
        line["timeTaken"].as_u64() > Some(0) && line["device"].as_str().is_some_and(|name| name.starts_with("cpu"))
    );
    assert_eq!(size(&fs::read(&file).expect("the picture")), (128, 64));

    let dump = fs::read(&latents).expect("the latents");
    let tensors = SafeTensors::deserialize(&dump).expect("safetensors");
    assert_eq!(tensors.names(), ["latents"]);
    let tensor = tensors.tensor("latents").expect("the tensor");
    assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, &[1, 4, 8, 16][..]));
    let values: Vec<f32> =
        tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert!(values.iter().all(|value| value.is_finite()) && values.iter().any(|value| *value != values[0]));
}

#[test]
fn a_picture_is_changed_as_asked_and_says_so() {
    let file = folder("post").join("tent.png");
    let changes = ["--upscale", "2", "--brightness", "1.2", "--contrast", "1.1", "--sharpness", "1.5", "--blur", "0.5"];
    let output = generate(&[&["--json", "--out", path(&file)], changes.as_slice()].concat());
    assert_eq!(size(&fs::read(&file).expect("the picture")), (256, 256));
    let line: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let post = &line["parameters"]["post"];
    assert_eq!((&post["upscale"], &post["sharpness"]), (&2.into(), &1.5.into()));
}

#[test]
fn a_picture_on_stdout_is_the_same_picture() {
    let file = folder("stdout").join("tent.png");
    generate(&["--out", path(&file)]);
    let piped = generate(&["--out", "-"]).stdout;
    assert_eq!(size(&piped), (128, 128));
    assert!(piped == fs::read(&file).expect("the picture"), "the same seed gives the same file");
}

#[test]
fn a_folder_of_the_embedded_model_gives_the_same_picture() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../public/models/fresco-tiny");
    let file = |name| folder(name).join("tent.png");
    let (embedded, folder) = (file("embedded"), file("from-folder"));
    generate(&["--out", path(&embedded)]);
    generate(&["--out", path(&folder), "--model", model]);
    assert!(fs::read(&embedded).expect("a picture") == fs::read(&folder).expect("a picture"));
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let output = run(&["generate", "--prompt", "x", "--device", "metal", "--out", "/dev/null"]);
    assert!(one_line_error(&output).contains("metal"));
}

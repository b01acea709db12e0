//! Model folders that are damaged: each gets one line that names the file, and no panic.

use super::{folder, one_line_error, run};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
const VAE: &str = "vae/diffusion_pytorch_model.safetensors";
const TEXT: &str = "text_encoder/model.safetensors";

/// A copy of the embedded model that a test may damage.
fn copy(name: &str) -> PathBuf {
    let to = folder(name);
    copy_all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../public/models/fresco-tiny")), &to);
    to
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// The line that a model's use ends with.
fn refusal(model: &Path) -> String {
    let model = model.to_str().expect("a path");
    one_line_error(&run(&[
        "generate",
        "--prompt",
        "x",
        "--steps",
        "1",
        "--device",
        "cpu",
        "--out",
        "/dev/null",
        "--model",
        model,
    ]))
}

fn assert_names(line: &str, file: &str) {
    assert!(line.starts_with(&format!("model: {file}: ")), "{line}");
}

/// Changes the header of a weights file.
fn edit_header(file: &Path, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let bytes = fs::read(file).expect("the file");
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a header");
    let (header, data) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).expect("fits"));
    let mut header: Value = serde_json::from_slice(header).expect("JSON");
    edit(header.as_object_mut().expect("an object"));
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    fs::write(file, [&length[..], header.as_bytes(), data].concat()).expect("written");
}

#[test]
fn a_truncated_weights_file_is_named() {
    for (file, name) in [(UNET, "cut-unet"), (VAE, "cut-vae"), (TEXT, "cut-text")] {
        let model = copy(name);
        let whole = fs::read(model.join(file)).expect("the file");
        for length in [0, 4, 100, whole.len() - 1] {
            fs::write(model.join(file), &whole[..length]).expect("written");
            assert_names(&refusal(&model), file);
        }
    }
}

#[test]
fn a_missing_tensor_is_named() {
    for (file, tensor, name) in [(UNET, "conv_in.weight", "lost-unet"), (VAE, "decoder.conv_in.bias", "lost-vae")] {
        let model = copy(name);
        edit_header(&model.join(file), |header| {
            let found = header.remove(tensor).expect("the tensor");
            header.insert("something.else".to_owned(), found);
        });
        let line = refusal(&model);
        assert_names(&line, file);
        assert!(line.contains(tensor), "{line}");
    }
}

#[test]
fn a_wrong_shape_is_named() {
    let model = copy("wrong-shape");
    edit_header(&model.join(UNET), |header| {
        let shape = header["conv_in.weight"]["shape"].as_array_mut().expect("a shape");
        shape.swap(0, 1);
    });
    let line = refusal(&model);
    assert_names(&line, UNET);
    assert!(line.contains("conv_in.weight"), "{line}");
}

#[test]
fn a_header_that_lies_is_refused_without_taking_memory() {
    let model = copy("lying-header");
    let whole = fs::read(model.join(UNET)).expect("the file");
    for length in [u64::MAX, 1 << 40, whole.len() as u64] {
        let bytes = [&length.to_le_bytes()[..], &whole[8..]].concat();
        fs::write(model.join(UNET), bytes).expect("written");
        assert_names(&refusal(&model), UNET);
    }
    fs::write(model.join(UNET), &whole).expect("written");
    edit_header(&model.join(UNET), |header| {
        header["conv_in.weight"]["data_offsets"] = serde_json::json!([0, u64::MAX]);
    });
    assert_names(&refusal(&model), UNET);
}

#[test]
fn configuration_that_is_missing_or_not_json_is_named() {
    let files = [
        "model_index.json",
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
    ];
    for file in files {
        let model = copy("bad-config");
        fs::write(model.join(file), "{ not json").expect("written");
        assert_names(&refusal(&model), file);
        fs::remove_file(model.join(file)).expect("removed");
        assert_names(&refusal(&model), file);
    }
}

#[test]
fn a_configuration_that_asks_for_too_much_is_refused() {
    let edits: [(&str, &str, Value); 4] = [
        ("unet/config.json", "block_out_channels", serde_json::json!([4_000_000_000u32, 8])),
        ("unet/config.json", "norm_num_groups", serde_json::json!(0)),
        ("vae/config.json", "latent_channels", serde_json::json!(0)),
        ("text_encoder/config.json", "num_hidden_layers", serde_json::json!(4_000_000_000u32)),
    ];
    for (file, key, value) in edits {
        let model = copy("greedy-config");
        let text = fs::read(model.join(file)).expect("the file");
        let mut config: Value = serde_json::from_slice(&text).expect("JSON");
        config[key] = value;
        fs::write(model.join(file), config.to_string()).expect("written");
        let line = refusal(&model);
        assert!(line.starts_with("model: ") && line.contains('/'), "{key}: {line}");
    }
}

#[test]
fn a_folder_without_a_model_is_refused() {
    let empty = folder("empty-model");
    assert!(refusal(&empty).starts_with("model: model_index.json"));
}

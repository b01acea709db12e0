//! Damaged model folders: each gives an error that names the file, and the tensor or key in it.

use crate::files::a;
use fresco_diffusion::{Device, LoadError, Pipeline, Silent};
use fresco_tests::memory::Memory;

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

async fn error(folder: &Memory, on: &Device) -> LoadError {
    match Pipeline::load(folder, on, &mut Silent).await {
        Ok(_) => panic!("a damaged folder was accepted"),
        Err(error) => error,
    }
}

pub async fn folders(on: &Device) {
    for (what, damaged, expected) in damaged() {
        let said = error(&damaged, on).await.to_string();
        assert!(!said.contains('\n'), "{what}: more than one line: {said}");
        for part in expected {
            assert!(said.contains(part), "{what}: {said:?} does not name {part:?}");
        }
    }
}

type Case = (&'static str, Memory, Vec<&'static str>);

fn damaged() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for file in ["model_index.json", "unet/config.json", "tokenizer/vocab.json", "tokenizer/merges.txt", UNET] {
        cases.push(("a missing file", a().folder.without(file), vec![file]));
    }
    for length in [0, 5, 8, 100, 20_000] {
        cases.push(("truncated weights", changed(UNET, |bytes| bytes.truncate(length)), vec![UNET, "truncated"]));
    }
    let endless = |bytes: &mut Vec<u8>| bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    cases.push(("an absurd header", changed(UNET, endless), vec![UNET, "header"]));
    cases.push(("a header that is not JSON", changed(UNET, |bytes| bytes[9] = b'!'), vec![UNET, "header"]));
    cases.push((
        "a missing tensor",
        renamed("conv_in.weight", "conv_on.weight"),
        vec![UNET, "conv_in.weight", "missing"],
    ));
    cases.push((
        "wrong shapes",
        text("text_encoder/config.json", "\"intermediate_size\": ", "\"intermediate_size\": 1"),
        vec!["text_encoder/model.safetensors", "fc1", "shape"],
    ));
    cases.push(("not JSON", changed("vae/config.json", |bytes| bytes.truncate(40)), vec!["vae/config.json"]));
    cases.push((
        "an absurd size",
        text("vae/config.json", "\"norm_num_groups\": 4", "\"norm_num_groups\": 0"),
        vec!["vae/config.json", "norm_num_groups"],
    ));
    cases.push((
        "another sampler's options",
        text("scheduler/scheduler_config.json", "\"sigma_max\": null", "\"sigma_max\": 80.0"),
        vec!["scheduler/scheduler_config.json", "sigma_max"],
    ));
    cases.push((
        "another interpolation",
        text(
            "scheduler/scheduler_config.json",
            "\"interpolation_type\": \"linear\"",
            "\"interpolation_type\": \"log_linear\"",
        ),
        vec!["scheduler/scheduler_config.json", "interpolation_type"],
    ));
    cases.push((
        "a tokenizer that does not fit",
        text("text_encoder/config.json", "\"vocab_size\": 770", "\"vocab_size\": 700"),
        vec!["tokenizer/vocab.json", "769", "700"],
    ));
    cases.push(("whole numbers for weights", of_integers(), vec![UNET, "I32", "not supported"]));
    cases.push((
        "another family",
        text("model_index.json", "StableDiffusionPipeline", "FluxPipeline"),
        vec!["model_index.json", "FluxPipeline"],
    ));
    cases
}

fn changed(file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Memory {
    let mut folder = a().folder;
    change(folder.file(file));
    folder
}

/// The first model with a text replaced in a file; it must be there.
fn text(file: &str, from: &str, to: &str) -> Memory {
    changed(file, |bytes| {
        let before = String::from_utf8(bytes.clone()).expect("the file is text");
        assert!(before.contains(from), "{file} has no {from}");
        *bytes = before.replace(from, to).into_bytes();
    })
}

/// A tensor under another name of the same length.
fn renamed(from: &str, to: &str) -> Memory {
    changed(UNET, |bytes| {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("the tensor is there");
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    })
}

/// A tensor whose type is no floating point.
fn of_integers() -> Memory {
    changed(UNET, |bytes| {
        let (from, to) = (b"\"dtype\":\"F32\"", b"\"dtype\":\"I32\"");
        let at = bytes.windows(from.len()).position(|window| window == from).expect("the header has a type");
        bytes[at..at + to.len()].copy_from_slice(to);
    })
}

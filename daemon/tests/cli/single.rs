//! Models of single files: a checkpoint in the original layout, GGUF, another autoencoder; what is missing is named.

use super::{
    folder, fresco, one_line_error, text,
    weights::{DENOISER, Tensors, VAE, checkpoint},
};
use fresco_daemon::models::{Catalogue, ModelFiles};
use fresco_diffusion::Source;
use futures_executor::block_on;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../public/models/fresco-tiny");
const PARTS: [&str; 3] = [
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
];
const CONFIGS: [&str; 5] = [
    "model_index.json",
    "scheduler/scheduler_config.json",
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
];

fn copy_tokenizer(to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(Path::new(TINY).join("tokenizer")).expect("a tokenizer").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// Whole bytes of a file of a source.
fn whole(files: &ModelFiles, file: &str) -> Vec<u8> {
    let length = block_on(files.len(file)).expect("it can be asked").expect("it is there");
    block_on(files.read(file, 0..length)).expect("it is read")
}

/// A checkpoint's file and the same model as a diffusers folder, which is written tensor by tensor.
fn both(place: &Path) -> (PathBuf, PathBuf) {
    let (file, to) = (place.join("file/hills.safetensors"), place.join("folder/hills"));
    fs::create_dir_all(place.join("file")).expect("a folder");
    checkpoint().write(&file);
    copy_tokenizer(&place.join("file/tokenizer"));
    let model = Catalogue::new(&place.join("no-home"), Vec::new()).open_file(&file).expect("it opens");
    for config in CONFIGS {
        let target = to.join(config);
        fs::create_dir_all(target.parent().expect("a folder")).expect("made");
        fs::write(target, whole(&model.files, config)).expect("written");
    }
    for part in PARTS {
        let mut tensors = Tensors::default();
        let listing = model.files.listing(part).expect("its tensors");
        for (name, entry) in &listing.tensors {
            tensors.insert(name, &entry.shape, block_on(entry.read(&model.files, name)).expect("its values"));
        }
        tensors.write(&to.join(part));
    }
    copy_tokenizer(&to.join("tokenizer"));
    (file, to)
}

fn command(home: &Path, model: &str, more: &[&str]) -> Output {
    let request = ["generate", "--prompt", "green hills by day", "--seed", "3", "--steps", "2", "--device", "cpu"];
    let size = ["--width", "128", "--height", "128", "--model", model];
    fresco(&[&request[..], &size, more].concat()).env("FRESCO_HOME", home).output().expect("it starts")
}

/// The picture's pixels.
fn picture(home: &Path, model: &Path, more: &[&str]) -> Vec<u8> {
    fs::create_dir_all(home).expect("a home");
    let out = home.join("picture.png");
    let model = model.to_str().expect("a path");
    let output = command(home, model, &[&["--out", out.to_str().expect("a path")], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    pixels(&fs::read(out).expect("the picture"))
}

fn pixels(png: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("pixels");
    pixels
}

fn different(pixels: &[u8]) -> usize {
    pixels.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn a_checkpoint_makes_the_picture_of_its_folder() {
    let place = folder("single");
    let home = place.join("home");
    let (file, dir) = both(&place);
    let expected = picture(&home, &dir, &[]);
    assert!(different(&expected) > 20, "the picture shows something");
    assert_eq!(picture(&home, &file, &[]), expected);

    // Imported by name, with the tokenizer of the folder that the link leads to.
    let import = fresco(&["models", "import", file.to_str().expect("a path"), "--name", "mine"])
        .env("FRESCO_HOME", &home)
        .output()
        .expect("it starts");
    assert!(import.status.success(), "{}", text(&import.stderr));
    assert_eq!(picture(&home, Path::new("mine"), &[]), expected);
    let list = fresco(&["models", "list", "--json"]).env("FRESCO_HOME", &home).output().expect("it starts");
    let rows: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let mine = rows.as_array().expect("rows").iter().find(|row| row["id"] == "mine").expect("it is listed");
    assert_eq!((&mine["state"], &mine["defaultSide"]), (&"usable".into(), &512.into()));

    // Found in a folder of the user's own.
    let out = home.join("found.png");
    let found =
        fresco(&["generate", "--prompt", "green hills by day", "--seed", "3", "--steps", "2", "--device", "cpu"])
            .args(["--width", "128", "--height", "128", "--model", "hills", "--out", out.to_str().expect("a path")])
            .env("FRESCO_HOME", place.join("other-home"))
            .env("MODEL_PATH", place.join("file"))
            .output()
            .expect("it starts");
    assert!(found.status.success(), "{}", text(&found.stderr));
    assert_eq!(pixels(&fs::read(out).expect("the picture")), expected);
}

#[test]
fn a_denoiser_alone_takes_the_rest_from_an_installed_model() {
    let place = folder("denoiser");
    let home = place.join("home");
    let (_, dir) = both(&place);
    let expected = picture(&home, &dir, &[]);
    let file = place.join("alone/hills-Q.gguf");
    fs::create_dir_all(place.join("alone")).expect("a folder");
    checkpoint().below(DENOISER).write_gguf(&file);

    let bare = one_line_error(&command(&home, file.to_str().expect("a path"), &["--out", "/dev/null"]));
    for said in ["model: hills-Q.gguf", "(vae)", "(text_encoder)", "(tokenizer)", "fresco models pull sd-1.5"] {
        assert!(bare.contains(said), "{bare:?} does not say {said:?}");
    }
    let import = fresco(&["models", "import", dir.to_str().expect("a path")]).env("FRESCO_HOME", &home).output();
    assert!(import.expect("it starts").status.success());
    assert_eq!(picture(&home, &file, &[]), expected);

    // Files beside it count more than an installed model.
    let mut vae = checkpoint().below(VAE);
    vae.put("decoder.conv_out.bias", &[3], 0.5, 0.0);
    vae.write(&place.join("alone/other-vae.safetensors"));
    assert_ne!(picture(&home, &file, &[]), expected);
}

#[test]
fn another_autoencoder_takes_the_place_of_the_models_own() {
    let place = folder("vae");
    let home = place.join("home");
    let (file, dir) = both(&place);
    let expected = picture(&home, &dir, &[]);
    let own = dir.join("vae");
    let same = place.join("same-vae.safetensors");
    checkpoint().below(VAE).write(&same);
    let mut other = checkpoint().below(VAE);
    other.put("decoder.conv_out.bias", &[3], 0.5, 0.0);
    let changed = place.join("changed-vae.safetensors");
    other.write(&changed);
    for model in [&file, &dir] {
        for vae in [&own, &dir, &same] {
            assert_eq!(picture(&home, model, &["--vae", vae.to_str().expect("a path")]), expected, "{vae:?}");
        }
        assert_ne!(picture(&home, model, &["--vae", changed.to_str().expect("a path")]), expected);
    }
    // What was used stands in the picture's parameters.
    let output = command(
        &home,
        dir.to_str().expect("a path"),
        &["--vae", changed.to_str().expect("a path"), "--json", "--out", "/dev/null"],
    );
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let used = &line["parameters"]["used"][0];
    assert_eq!((&used["kind"], &used["name"]), (&"vae".into(), &"changed-vae".into()));
    assert!(used["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:") && digest.len() == 71));
    for (wrong, says) in
        [(place.join("none"), "none"), (file.clone(), "holds more than"), (place.join("home"), "config.json")]
    {
        let line = one_line_error(&command(
            &home,
            dir.to_str().expect("a path"),
            &["--vae", wrong.to_str().expect("a path"), "--out", "/dev/null"],
        ));
        assert!(line.starts_with("vae: ") && line.contains(says), "{line}");
    }
}

#[test]
fn a_file_that_is_no_model_says_what_it_is() {
    let place = folder("no-model");
    let file = place.join("ink.safetensors");
    let mut lora = Tensors::default();
    lora.put("unet.mid_block.attentions.0.proj_in.lora_A.weight", &[1, 8], 0.0, 1.0);
    lora.put("unet.mid_block.attentions.0.proj_in.lora_B.weight", &[8, 1], 0.0, 1.0);
    lora.write(&file);
    let line = one_line_error(&command(&place, file.to_str().expect("a path"), &["--out", "/dev/null"]));
    assert!(line.starts_with("model: ink.safetensors: ") && line.contains("LoRA"), "{line}");
    let cut = place.join("cut.gguf");
    checkpoint().write_gguf(&cut);
    let bytes = fs::read(&cut).expect("the file");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
    let line = one_line_error(&command(&place, cut.to_str().expect("a path"), &["--out", "/dev/null"]));
    assert!(line.starts_with("model: cut.gguf: is truncated"), "{line}");
}

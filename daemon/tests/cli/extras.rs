//! Files that a command names besides the model's: learned words, a fast decoder, an upscaler; and clip skip.

use super::{
    folder, one_line_error, run_in, text,
    weights::{Tensors, tiny_decoder, upscaler},
};
use serde_json::Value;
use std::{fs, path::Path, process::Output};

/// The width of the embedded model's text encoder.
const WIDTH: usize = 128;

fn command(home: &Path, prompt: &str, more: &[&str]) -> Output {
    let request = ["generate", "--prompt", prompt, "--seed", "3", "--steps", "2", "--device", "cpu"];
    run_in(home, &[&request[..], more].concat())
}

/// The picture's size and pixels.
fn picture(home: &Path, prompt: &str, more: &[&str]) -> ((u32, u32), Vec<u8>) {
    let out = home.join("picture.png");
    let output = command(home, prompt, &[&["--out", out.to_str().expect("a path")], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let png = fs::read(out).expect("the picture");
    let mut reader = png::Decoder::new(std::io::Cursor::new(png.as_slice())).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    ((info.width, info.height), pixels)
}

fn word(file: &Path, width: usize) {
    let mut tensors = Tensors::default();
    tensors.put("emb_params", &[2, width], 0.0, 3.0);
    tensors.write(file);
}

fn path(file: &Path) -> &str {
    file.to_str().expect("a path")
}

#[test]
fn a_learned_word_changes_what_the_prompt_says() {
    let home = folder("words");
    fs::create_dir_all(home.join("embeddings")).expect("a folder");
    let plain = picture(&home, "green hills in zorn style", &[]);
    let file = home.join("zorn.safetensors");
    word(&file, WIDTH);
    let said = picture(&home, "green hills in zorn style", &["--embedding", path(&file)]);
    assert_ne!(plain, said);
    // On its shelf it is found by its name, alone or as ComfyUI writes it.
    let shelf = home.join("embeddings/zorn.safetensors");
    fs::rename(&file, &shelf).expect("moved");
    assert_eq!(picture(&home, "green hills in zorn style", &[]), said);
    assert_eq!(picture(&home, "green hills in embedding:zorn style", &[]), said);
    assert_eq!(
        picture(&home, "green hills in zorns style", &[]),
        picture(&folder("no-words"), "green hills in zorns style", &[])
    );
    let output = command(&home, "green hills in zorn style", &["--json", "--out", "/dev/null"]);
    let line: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let used = &line["parameters"]["used"][0];
    assert_eq!((&used["kind"], &used["name"]), (&"embedding".into(), &"zorn".into()));

    // One for another text encoder is a word like any other, unless it is asked for.
    word(&shelf, WIDTH / 2);
    assert_eq!(picture(&home, "green hills in zorn style", &[]), plain);
    let refused = |prompt: &str, more: &[&str]| {
        one_line_error(&command(&home, prompt, &[&["--out", "/dev/null"], more].concat()))
    };
    let line = refused("hills, embedding:zorn", &[]);
    assert!(line.starts_with("prompt: ") && line.contains("another kind of model"), "{line}");
    let line = refused("hills", &["--negative", "embedding:none"]);
    assert!(line.starts_with("negativePrompt: ") && line.contains("\"none\""), "{line}");
    let line = refused("hills", &["--embedding", path(&shelf)]);
    assert!(line.starts_with("embedding: "), "{line}");
    let line = refused("hills", &["--embedding", "/nonexistent.safetensors"]);
    assert!(line.starts_with("embedding: there is no file"), "{line}");
}

#[test]
fn clip_skip_leaves_out_blocks() {
    let home = folder("clip-skip");
    let plain = picture(&home, "green hills", &[]);
    assert_eq!(picture(&home, "green hills", &["--clip-skip", "1"]), plain);
    assert_ne!(picture(&home, "green hills", &["--clip-skip", "2"]), plain);
    let line = one_line_error(&command(&home, "x", &["--clip-skip", "0"]));
    assert!(line.starts_with("clipSkip: "), "{line}");
}

#[test]
fn a_tiny_autoencoder_decodes_the_picture() {
    let home = folder("fast-decoder");
    let (size, plain) = picture(&home, "green hills", &[]);
    let file = home.join("taesd_decoder.safetensors");
    tiny_decoder(4).write(&file);
    let (same, quick) = picture(&home, "green hills", &["--fast-decoder", path(&file)]);
    assert_eq!(same, size);
    assert_ne!(quick, plain);
    assert_eq!(picture(&home, "green hills", &["--fast-decoder", path(&home)]).1, quick, "from its folder");
    let wide = home.join("wide.safetensors");
    tiny_decoder(16).write(&wide);
    let refused =
        |file: &Path| one_line_error(&command(&home, "x", &["--fast-decoder", path(file), "--out", "/dev/null"]));
    assert!(refused(&wide).contains("16 channels"), "{}", refused(&wide));
    assert!(refused(&home.join("none")).starts_with("fastDecoder: there is no file"));
}

#[test]
fn a_network_enlarges_the_picture() {
    let home = folder("upscaler");
    let ((width, height), _) = picture(&home, "green hills", &[]);
    let file = home.join("net.safetensors");
    upscaler().write(&file);
    let (size, large) = picture(&home, "green hills", &["--upscaler", path(&file)]);
    assert_eq!(size, (4 * width, 4 * height));
    assert!(large.windows(2).any(|pair| pair[0] != pair[1]));
    let no_net = home.join("no-net.safetensors");
    tiny_decoder(4).write(&no_net);
    let refused = |file: &Path| one_line_error(&command(&home, "x", &["--upscaler", path(file), "--out", "/dev/null"]));
    assert!(refused(&no_net).contains("no RRDB network"), "{}", refused(&no_net));
    assert!(refused(&home.join("none")).starts_with("upscaler: there is no file"));
}

#[test]
fn a_prompt_of_too_many_windows_is_refused() {
    let home = folder("windows");
    let line = one_line_error(&command(&home, &"hill BREAK ".repeat(40), &["--out", "/dev/null"]));
    assert!(line.starts_with("prompt: ") && line.contains("32 are the most"), "{line}");
    // Without a break: counted by the engine.
    let line = one_line_error(&command(&home, &"é".repeat(4_000), &["--out", "/dev/null"]));
    assert!(line.starts_with("prompt: ") && line.contains("32 are the most"), "{line}");
}

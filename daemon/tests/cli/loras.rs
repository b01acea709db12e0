//! LoRAs on the command line: added, by how much, by name, and refused.

use super::{folder, one_line_error, run, run_in, text};
use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
use std::{fs, path::Path};

const LAYER: &str = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_v";
const WIDTHS: (usize, usize) = (128, 128);

/// A LoRA of rank 1 for the embedded model.
fn write(file: &Path) {
    let bytes =
        |count: usize| -> Vec<u8> { (0..count).flat_map(|i| ((i % 7) as f32 * 0.1 - 0.3).to_le_bytes()).collect() };
    let (down, up) = (bytes(WIDTHS.1), bytes(WIDTHS.0));
    let view = |shape: Vec<usize>, bytes| TensorView::new(Dtype::F32, shape, bytes).expect("as many bytes as it says");
    let tensors = [
        (format!("{LAYER}.lora_A.weight"), view(vec![1, WIDTHS.1], &down)),
        (format!("{LAYER}.lora_B.weight"), view(vec![WIDTHS.0, 1], &up)),
    ];
    serialize_to_file(tensors, None, file).expect("the file is written");
}

fn picture(home: &Path, prompt: &str, more: &[&str]) -> Vec<u8> {
    let out = home.join("picture.png");
    let request = ["generate", "--prompt", prompt, "--seed", "3", "--steps", "2", "--device", "cpu", "--out"];
    let output = run_in(home, &[&request[..], &[out.to_str().expect("a path")], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    pixels(&fs::read(out).expect("the picture"))
}

fn pixels(png: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("pixels");
    pixels
}

#[test]
fn a_lora_changes_the_picture_by_as_much_as_is_asked() {
    let home = folder("loras");
    fs::create_dir_all(home.join("loras")).expect("a folder");
    let file = home.join("loras/ink.safetensors");
    write(&file);
    let named = |weight: &str| format!("{}{weight}", file.display());
    let plain = picture(&home, "green hills by day", &[]);
    let whole = picture(&home, "green hills by day", &["--lora", &named("")]);
    assert_ne!(plain, whole);
    assert_eq!(plain, picture(&home, "green hills by day", &["--lora", &named(":0")]));
    assert_ne!(whole, picture(&home, "green hills by day", &["--lora", &named(":0.5")]));
    // By its name in the prompt, which the model does not read.
    assert_eq!(whole, picture(&home, "green hills by day<lora:ink:1>", &[]));
    // Two halves are added one after the other, which rounds.
    let halves = picture(&home, "green hills by day<lora:ink:0.5>", &["--lora", &named(":0.5")]);
    assert!(whole.iter().zip(&halves).all(|(a, b)| a.abs_diff(*b) <= 1));
}

#[test]
fn a_lora_that_is_none_is_refused() {
    let home = folder("no-loras");
    let other = home.join("other.safetensors");
    let bytes = [0u8; 16];
    let view = TensorView::new(Dtype::F32, vec![4], &bytes).expect("four values");
    serialize_to_file([("something.weight", view)], None, &other).expect("the file is written");
    let other = other.to_str().expect("a path");
    let request = ["generate", "--prompt", "x", "--device", "cpu", "--lora"];
    for (wrong, says) in [("/nonexistent.safetensors", "no file"), (other, "other.safetensors")] {
        let output = run(&[&request[..], &[wrong]].concat());
        assert!(!output.status.success() && text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    let output = run_in(&home, &["generate", "--prompt", "x <lora:ink:1>", "--device", "cpu"]);
    let error = one_line_error(&output);
    assert!(error.contains("prompt") && error.contains("ink"), "{error}");
}

//! Pictures from pictures on the command line, with the embedded model on the processor.

use super::{folder, one_line_error, run, text};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

fn path(path: &Path) -> &str {
    path.to_str().expect("a path")
}

/// Writes a picture whose pixels are what `pixel` says.
fn draw(file: &Path, (width, height): (u32, u32), pixel: impl Fn(u32, u32) -> [u8; 3]) {
    let rgb: Vec<u8> = (0..width * height).flat_map(|i| pixel(i % width, i / width)).collect();
    let mut encoder = png::Encoder::new(File::create(file).expect("a file"), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&rgb)).expect("is written");
}

fn read(file: &Path) -> ((u32, u32), Vec<u8>) {
    let file = BufReader::new(File::open(file).expect("a picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    let mut rgb = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut rgb).expect("pixels");
    ((info.width, info.height), rgb)
}

/// A folder with a picture `in.png` of 128 x 96 pixels and a mask of its right half.
fn place(name: &str) -> PathBuf {
    let place = folder(name);
    draw(&place.join("in.png"), (128, 96), |x, y| [x as u8, (2 * y) as u8, 90]);
    draw(&place.join("mask.png"), (128, 96), |x, _| if x < 64 { [0; 3] } else { [255; 3] });
    place
}

/// Runs with two steps on the processor; the line of JSON and the picture.
fn made(place: &Path, more: &[&str]) -> (Value, (u32, u32), Vec<u8>) {
    let out = place.join("out.png");
    let fixed = ["generate", "--steps", "2", "--seed", "4", "--device", "cpu", "--json", "--out", path(&out)];
    let output = run(&[&fixed, more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (size, rgb) = read(&out);
    (serde_json::from_slice(&output.stdout).expect("JSON"), size, rgb)
}

#[test]
fn a_picture_from_a_picture() {
    let place = place("img2img");
    let input = place.join("in.png");
    let (line, size, rgb) = made(&place, &["--prompt", "a red tent", "--image", path(&input), "--strength", "0.5"]);
    assert_eq!(size, (128, 96));
    assert_ne!(rgb, read(&input).1);
    let edit = &line["parameters"]["edit"];
    assert_eq!((&edit["type"], &edit["strength"]), (&"img2img".into(), &0.5.into()));
    assert!(edit["initImage"].as_str().is_some_and(|hash| hash.starts_with("sha256:") && hash.len() == 71), "{line}");
    let more = ["--prompt", "x", "--image", path(&input), "--width", "64", "--height", "64", "--resize", "pad"];
    assert_eq!(made(&place, &more).1, (64, 64));
}

#[test]
fn a_mask_keeps_what_it_does_not_show_and_a_canvas_grows() {
    let place = place("inpaint");
    let (input, mask) = (place.join("in.png"), place.join("mask.png"));
    let before = read(&input).1;
    let asked = ["--prompt", "a red tent", "--image", path(&input), "--mask", path(&mask)];
    for more in [&[][..], &["--only-masked"], &["--only-masked=8"]] {
        let (line, size, rgb) = made(&place, &[&asked, more].concat());
        assert_eq!((&line["parameters"]["edit"]["type"], size), (&"inpaint".into(), (128, 96)));
        for (i, (new, old)) in rgb.chunks_exact(3).zip(before.chunks_exact(3)).enumerate() {
            assert!(i % 128 >= 64 || new == old, "{more:?}: pixel {i}");
        }
        assert_ne!(rgb, before);
    }
    let grown = ["--prompt", "a red tent", "--image", path(&input), "--outpaint", "8,16,24,0", "--mask-blur", "0"];
    let (_, size, rgb) = made(&place, &grown);
    assert_eq!(size, (160, 112));
    for (y, row) in before.chunks_exact(128 * 3).enumerate() {
        let start = ((y + 16) * 160 + 8) * 3;
        assert_eq!(&rgb[start..start + 128 * 3], row, "row {y}");
    }
}

#[test]
fn a_style_without_words() {
    let place = place("style");
    let (input, style) = (place.join("in.png"), place.join("style.png"));
    draw(&style, (64, 64), |_, _| [20, 30, 200]);
    let asked =
        ["--image", path(&input), "--style", path(&style), "--style-strength", "1", "--content-strength", "0.5"];
    let (line, size, rgb) = made(&place, &asked);
    assert_eq!((&line["parameters"]["edit"]["type"], size), (&"style-transfer".into(), (128, 96)));
    let sum = |channel: usize| rgb.iter().skip(channel).step_by(3).map(|x| u64::from(*x)).sum::<u64>();
    assert!(sum(2) > sum(0) + sum(1) / 2, "{:?}", [sum(0), sum(1), sum(2)]);
}

#[test]
fn what_cannot_be_used_is_one_line_that_names_it() {
    let place = place("refused");
    let (input, garbage) = (place.join("in.png"), place.join("garbage.png"));
    fs::write(&garbage, b"GIF89a and so on").expect("a file");
    let refused = |more: &[&str]| one_line_error(&run(&[&["generate", "--prompt", "x"], more].concat()));
    let missing = place.join("none.png");
    assert!(refused(&["--image", path(&missing)]).starts_with(path(&missing)));
    assert!(refused(&["--image", path(&garbage)]).starts_with("initImage: Not an image"));
    assert!(refused(&["--image", path(&input), "--mask", path(&garbage)]).starts_with("mask: Not an image"));
    assert!(refused(&["--image", path(&input), "--strength", "0"]).starts_with("strength: "));
    assert!(refused(&["--image", path(&input), "--only-masked"]).starts_with("onlyMasked: "));
    assert!(refused(&["--image", path(&input), "--transparent"]).starts_with("mask: "));
    assert!(
        refused(&["--image", path(&input), "--style", path(&input), "--style-strength", "2"])
            .starts_with("styleStrength: ")
    );
    for wrong in [
        &["--strength", "0.5"][..],
        &["--mask", path(&input)],
        &["--image", path(&input), "--style-strength", "0.5"],
        &["--image", path(&input), "--outpaint", "1,2,3"],
        &["--image", path(&input), "--style", path(&input), "--mask", path(&input)],
    ] {
        let output = run(&[&["generate", "--prompt", "x"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output.stderr));
    }
    assert_eq!(run(&["generate"]).status.code(), Some(2), "words are needed without a style");
}

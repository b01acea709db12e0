//! What cannot be made is refused before anything is loaded, in one line that names the option's field.

use super::{one_line_error, run, scratch};

fn refused(arguments: &[&str]) -> String {
    one_line_error(&run(&[&["generate"], arguments].concat()))
}

#[test]
fn each_bad_value_names_its_field() {
    let long = "x".repeat(100_000);
    let cases: [(&str, &[&str]); 17] = [
        ("prompt", &["--prompt", ""]),
        ("prompt", &["--prompt", &long]),
        ("negativePrompt", &["--prompt", "x", "--negative", &long]),
        ("width", &["--prompt", "x", "--width", "511"]),
        ("height", &["--prompt", "x", "--height", "66"]),
        ("steps", &["--prompt", "x", "--steps", "1000000000"]),
        ("steps", &["--prompt", "x", "--steps", "0"]),
        ("guidanceScale", &["--prompt", "x", "--guidance", "-1"]),
        ("guidanceScale", &["--prompt", "x", "--guidance", "NaN"]),
        ("sampler", &["--prompt", "x", "--sampler", "magic"]),
        ("scheduler", &["--prompt", "x", "--scheduler", "magic"]),
        ("scheduler", &["--prompt", "x", "--sampler", "ddim", "--scheduler", "karras"]),
        ("eta", &["--prompt", "x", "--sampler", "ddim", "--eta", "2"]),
        ("eta", &["--prompt", "x", "--eta", "0.5"]),
        ("rng", &["--prompt", "x", "--rng", "dice"]),
        ("model", &["--prompt", "x", "--model", "sd9"]),
        ("model", &["--prompt", "x", "--model", "/nonexistent/folder"]),
    ];
    for (field, arguments) in cases {
        let line = refused(arguments);
        assert!(line.starts_with(&format!("{field}: ")), "{line}");
        assert!(line.len() < 400, "{line}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named_before_the_work() {
    let missing = scratch("no-such-folder/x.png");
    let missing = missing.to_str().expect("a path");
    let line = refused(&["--prompt", "x", "--out", missing]);
    assert!(line.starts_with(missing), "{line}");
    let line = refused(&["--prompt", "x", "--out", "/dev/null", "--dump-latents", missing]);
    assert!(line.starts_with(missing), "{line}");
}

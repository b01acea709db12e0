//! The `fresco` command as its user sees it: the built program, its output, its exit codes.

mod broken_models;
mod extras;
mod generate;
#[path = "../../../tests/support/hub.rs"]
#[allow(dead_code, reason = "the daemon's own tests use the rest of it")]
mod hub;
mod images;
mod load;
mod loras;
mod loss;
mod models;
mod modes;
mod requests;
mod serve;
mod single;
mod weights;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The program with an empty home and nothing of the tester's surroundings.
fn fresco(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fresco"));
    command.args(arguments).env("FRESCO_HOME", scratch("home")).env_remove("RUST_LOG").env_remove("PORT");
    for name in ["MODEL_PATH", "HF_ENDPOINT", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE"]
    {
        command.env_remove(name);
    }
    command.env("RUST_BACKTRACE", "1");
    command
}

/// In a home of the test's own.
fn run_in(home: &Path, arguments: &[&str]) -> Output {
    fresco(arguments).env("FRESCO_HOME", home).output().expect("the program starts")
}

fn run(arguments: &[&str]) -> Output {
    fresco(arguments).output().expect("the program starts")
}

/// A path for a test's own files; `name` is used by one test only.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The same, as an empty folder.
fn folder(name: &str) -> PathBuf {
    let path = scratch(name);
    _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a folder");
    path
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// The one line with which a command says why it did not do what was asked.
fn one_line_error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    let said = text(&output.stderr).trim_end();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said.strip_prefix("error: ").expect("it begins so").to_owned()
}

#[test]
fn a_wrong_call_is_exit_code_2() {
    for arguments in [&[][..], &["paint"], &["generate"], &["generate", "--prompt", "x", "--steps", "many"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
    let both = run(&["generate", "--prompt", "x", "--json", "--out", "-"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn the_embedded_model_is_listed() {
    let output = run(&["models", "list"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("fresco-tiny"));
    let json: serde_json::Value = serde_json::from_slice(&run(&["models", "list", "--json"]).stdout).expect("JSON");
    assert_eq!(json[0]["id"], "fresco-tiny");
}

#[test]
fn the_doctor_finds_a_device_and_says_why() {
    let output = run(&["doctor"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("  cpu: ") && said.contains("models run on "), "{said}");
    let output = run(&["doctor", "--device", "cpu"]);
    assert!(text(&output.stdout).contains("models run on cpu: "));
}

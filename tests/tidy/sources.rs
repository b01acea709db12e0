//! Rules about the text of source files.

use crate::assert_none;
use crate::tree::{code_lines, files, files_in, text};

/// The most lines of a source file.
const MAX_FILE_LINES: usize = 400;
/// The most lines of a function.
const MAX_FUNCTION_LINES: usize = 60;

#[test]
fn every_rust_file_says_first_what_it_is_for() {
    let silent = |path: &String| !text(path).unwrap_or_default().starts_with("//! ");
    let offences: Vec<String> = files_in("", ".rs").into_iter().filter(silent).collect();
    assert_none("files whose first line is not `//! what it is for`", &offences);
}

#[test]
fn no_source_file_is_too_long() {
    let mut offences = Vec::new();
    for path in files() {
        let lines = text(&path).unwrap_or_default().lines().count();
        if [".rs", ".py", ".mjs", ".sh"].iter().any(|ending| path.ends_with(ending)) && lines > MAX_FILE_LINES {
            offences.push(format!("{path}: {lines} lines"));
        }
    }
    assert_none("files of more than 400 lines", &offences);
}

#[test]
fn no_function_is_too_long() {
    let mut offences = Vec::new();
    for path in files_in("", ".rs") {
        for (name, line, length) in functions(&text(&path).unwrap_or_default()) {
            if length > MAX_FUNCTION_LINES {
                offences.push(format!("{path}:{line}: {name} has {length} lines"));
            }
        }
    }
    assert_none("functions of more than 60 lines", &offences);
}

#[test]
fn the_engine_rooms_do_no_io() {
    let banned = ["std::fs", "std::net", "std::process", "std::env", "std::thread", "tokio", "web_sys", "js_sys"];
    let mut offences = Vec::new();
    for path in engine_sources() {
        for (number, line) in code_lines(&path) {
            let found = banned.iter().filter(|word| line.contains(**word));
            offences.extend(found.map(|word| format!("{path}:{number}: {word}")));
        }
    }
    assert_none("shared/diffusion and shared/kernels do no IO of their own", &offences);
}

#[test]
fn diffusion_is_one_source_for_both_worlds() {
    let mut offences = Vec::new();
    for path in files_in("shared/diffusion/src/", ".rs") {
        let lines = code_lines(&path).into_iter().filter(|(_, line)| line.contains("target_arch"));
        offences.extend(lines.map(|(number, _)| format!("{path}:{number}")));
    }
    assert_none("shared/diffusion has no code for one target only", &offences);
}

#[test]
fn no_file_names_a_path_of_somebody_s_machine() {
    // Put together here, so that this file does not offend itself.
    let banned = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut offences = Vec::new();
    for path in files() {
        for (index, line) in text(&path).unwrap_or_default().lines().enumerate() {
            let found = banned.iter().any(|word| line.contains(word));
            offences.extend(found.then(|| format!("{path}:{}", index + 1)));
        }
    }
    assert_none("files that name a machine's path", &offences);
}

#[test]
fn the_npm_lock_file_records_no_registry() {
    let lock = text("package-lock.json").expect("package-lock.json is there");
    assert!(!lock.contains("\"resolved\""), "package-lock.json records where packages were fetched from");
}

fn engine_sources() -> Vec<String> {
    [files_in("shared/diffusion/src/", ".rs"), files_in("shared/kernels/src/", ".rs")].concat()
}

/// Each function's name, line and length. Reads rustfmt's layout: the closing brace stands under the function's start.
fn functions(source: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line.trim_start()) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = lines[start..].iter().position(|line| line.strip_prefix(indent) == Some("}"));
        let one_line = line.ends_with('}') || line.ends_with(';');
        if let (false, Some(end)) = (one_line, end) {
            found.push((name.to_owned(), start + 1, end + 1));
        }
    }
    found
}

/// `generate` from `pub(crate) async fn generate<T>(…`.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let words = ["pub", "pub(crate)", "pub(super)", "async", "const", "unsafe", "extern"];
    let only_words = before.split_whitespace().all(|word| words.contains(&word));
    only_words.then(|| after.split(['(', '<']).next().unwrap_or(after))
}

#[test]
fn functions_are_measured_from_their_first_line_to_their_brace() {
    let source = "fn one() {}\n\npub async fn two<T>(\n    a: T,\n) {\n    if a {\n    }\n}\n";
    assert_eq!(functions(source), [("two".to_owned(), 3, 6)]);
}

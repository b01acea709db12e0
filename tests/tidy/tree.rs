//! The files of this repository, without what is built, installed or downloaded.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold no source, wherever they are.
const SKIPPED: [&str; 7] = ["target", "dist", "dist-static", "node_modules", "__pycache__", "out", "pkg"];
/// Hidden folders that do hold source.
const HIDDEN: [&str; 3] = [".ci", ".cargo", ".github"];

/// The repository's root.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests package lies in the repository").to_owned()
}

/// Every source file, as its path from the root with forward slashes.
pub fn files() -> Vec<String> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    found.sort();
    found
}

/// Every source file below `folder` whose name ends in `ending`.
pub fn files_in(folder: &str, ending: &str) -> Vec<String> {
    files().into_iter().filter(|path| path.starts_with(folder) && path.ends_with(ending)).collect()
}

/// A file's text; nothing for a file that is not text.
pub fn text(path: &str) -> Option<String> {
    String::from_utf8(fs::read(root().join(path)).ok()?).ok()
}

/// A file's lines with their numbers, counted from 1, without `//` comments.
pub fn code_lines(path: &str) -> Vec<(usize, String)> {
    let text = text(path).unwrap_or_default();
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().enumerate().map(|(index, line)| (index + 1, code(line))).collect()
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && is_source_folder(&entry.path(), &name) => {
                walk(&entry.path(), &format!("{path}/"), found);
            }
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}

/// Cargo marks its target folders with a `CACHEDIR.TAG`, wherever they are.
fn is_source_folder(path: &Path, name: &str) -> bool {
    let hidden = name.starts_with('.') && !HIDDEN.contains(&name);
    !hidden && !SKIPPED.contains(&name) && !path.join("CACHEDIR.TAG").exists()
}

#[test]
fn the_walk_finds_this_file() {
    assert!(files().contains(&"tests/tidy/tree.rs".to_owned()));
}

//! Which crate may depend on which, and which room may know which library.

use crate::assert_none;
use crate::tree::{code_lines, files_in, text};

/// Our crates by folder, with those of ours that each may name.
const ARROWS: [(&str, &[&str]); 5] = [
    ("shared/api", &[]),
    ("shared/kernels", &["fresco-api"]),
    ("shared/diffusion", &["fresco-api", "fresco-kernels"]),
    ("daemon", &["fresco-api", "fresco-diffusion"]),
    ("web", &["fresco-api", "fresco-diffusion"]),
];
/// Folders whose crates may name Burn or CubeCL.
const BURN_ROOMS: [&str; 3] = ["shared/kernels", "shared/diffusion", "tests"];

#[test]
fn our_crates_depend_one_way() {
    let mut offences = Vec::new();
    for (folder, allowed) in ARROWS {
        let ours = dependencies(folder).into_iter().filter(|name| name.starts_with("fresco-"));
        let wrong = ours.filter(|name| !allowed.contains(&name.as_str()));
        offences.extend(wrong.map(|name| format!("{folder} depends on {name}")));
    }
    assert_none("arrows that DESIGN does not have", &offences);
}

#[test]
fn burn_stays_in_its_rooms() {
    let is_burn = |name: &String| ["burn", "cubecl", "cubek"].iter().any(|word| name.starts_with(word));
    let mut offences = Vec::new();
    for (folder, _) in ARROWS.iter().filter(|(folder, _)| !BURN_ROOMS.contains(folder)) {
        let wrong = dependencies(folder).into_iter().filter(is_burn);
        offences.extend(wrong.map(|name| format!("{folder} depends on {name}")));
    }
    assert_none("crates outside kernels, diffusion and tests that name Burn", &offences);
}

#[test]
fn only_the_http_room_knows_axum() {
    let allowed = |path: &String| path.starts_with("daemon/src/http/") || path == "daemon/src/lib.rs";
    let mut offences = Vec::new();
    for path in files_in("daemon/src/", ".rs").into_iter().filter(|path| !allowed(path)) {
        let lines = code_lines(&path).into_iter().filter(|(_, line)| line.contains("axum::"));
        offences.extend(lines.map(|(number, _)| format!("{path}:{number}")));
    }
    assert_none("daemon files outside http/ that use axum", &offences);
}

#[test]
fn dependencies_are_read_from_every_table() {
    let found = names(
        "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\n[target.'cfg(unix)'.dependencies]\nb = \"1\"\n[dev-dependencies.c]\npath = \"c\"\n[features]\nd = []\n",
    );
    assert_eq!(found, ["a", "b", "c"]);
}

/// The names in every dependency table of a folder's Cargo.toml.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = text(&format!("{folder}/Cargo.toml"));
    names(&manifest.unwrap_or_else(|| panic!("{folder}/Cargo.toml cannot be read")))
}

fn names(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table.ends_with("dependencies");
            found.extend(table.split_once("dependencies.").map(|(_, name)| name.to_owned()));
        } else if inside && !line.starts_with('#') {
            let key = line.split_once(['=', '.']).map(|(key, _)| key.trim());
            found.extend(key.filter(|key| is_name(key)).map(str::to_owned));
        }
    }
    found
}

/// Feature lists over several lines have no key; only names count.
fn is_name(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

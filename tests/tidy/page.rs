//! What the page may contain: nothing inline, nothing from elsewhere, and not too many bytes.

use crate::assert_none;
use crate::tree::{files, files_in, root, text};
use std::fs;

/// The most bytes that all embedded models have together.
const MAX_MODEL_BYTES: u64 = 25_000_000;

#[test]
fn the_page_has_nothing_inline() {
    let mut offences = Vec::new();
    for path in pages() {
        let html = text(&path).unwrap_or_default().to_lowercase();
        offences.extend(inline_scripts(&html).map(|script| format!("{path}: <script>{script}…")));
        for word in [" style=", "<style", " onclick=", " onload=", " onerror=", "javascript:"] {
            offences.extend(html.contains(word).then(|| format!("{path}: {word}")));
        }
    }
    assert_none("pages that a strict content security policy would break", &offences);
}

#[test]
fn the_page_names_no_other_host() {
    let mut offences = Vec::new();
    for path in files().into_iter().filter(|path| is_served(path)) {
        // An XML namespace is a name, not an address to fetch.
        let content = text(&path).unwrap_or_default().replace("http://www.w3.org/", "");
        for word in ["http://", "https://", "src=\"//", "href=\"//", "url(//"] {
            offences.extend(content.contains(word).then(|| format!("{path}: {word}")));
        }
    }
    assert_none("served files that name another host", &offences);
}

#[test]
fn the_embedded_models_are_small() {
    let sizes =
        files_in("public/models/", "").into_iter().map(|path| fs::metadata(root().join(path)).map_or(0, |m| m.len()));
    let bytes: u64 = sizes.sum();
    assert!(bytes <= MAX_MODEL_BYTES, "public/models has {bytes} bytes, more than {MAX_MODEL_BYTES}");
}

fn pages() -> Vec<String> {
    let mut pages = files_in("web/", ".html");
    pages.extend(files_in("public/", ".html"));
    assert!(!pages.is_empty(), "there is a page");
    pages
}

/// Hand-written files that reach the browser as they are; models are data.
fn is_served(path: &str) -> bool {
    let ours = path.starts_with("public/") || path.starts_with("web/");
    let kind = [".html", ".css", ".js", ".svg", ".webmanifest"].iter().any(|ending| path.ends_with(ending));
    ours && kind
}

/// The first characters of every script that has a body.
fn inline_scripts(html: &str) -> impl Iterator<Item = String> + '_ {
    html.split("<script").skip(1).filter_map(|after| {
        let body = after.split_once('>')?.1.split_once("</script>")?.0.trim();
        (!body.is_empty()).then(|| body.chars().take(40).collect())
    })
}

#[test]
fn a_script_with_a_body_is_found() {
    assert_eq!(inline_scripts("<script src=a></script><script>x()</script>").collect::<Vec<_>>(), ["x()"]);
}

//! The page, from inside the program.

use super::{error::Failure, tab_hub::TabHub};
use crate::app::App;
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::{borrow::Cow, fmt::Write};

/// The bundle that Trunk builds. A program without it serves everything but the page. The model's
/// files are embedded once, elsewhere.
#[derive(RustEmbed)]
#[folder = "../dist"]
#[allow_missing = true]
#[exclude = "weights/*"]
#[exclude = "models/*"]
struct Page;

const INDEX: &str = "index.html";

/// Everything that is no route of the interface.
pub(super) async fn page(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    if let Some(page) = with_hub(&app.tab_hub, request.method(), request.uri().path()) {
        return Ok(page);
    }
    answer::<Page>(request.method(), request.uri(), request.headers())
}

/// The page itself, where it has to name a hub.
fn with_hub(hub: &TabHub, method: &Method, path: &str) -> Option<Response> {
    let asked = method == Method::GET && matches!(path.trim_start_matches('/'), "" | INDEX);
    let html = if asked { hub.page(&Page::get(INDEX)?.data)? } else { return None };
    let no_cache = [(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    Some((no_cache, Html(html)).into_response())
}

fn answer<Files: RustEmbed>(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Response, Failure> {
    let path = uri.path().trim_start_matches('/');
    let missing = || Failure::not_found(format!("There is nothing at {}", uri.path()));
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(missing());
    }
    if path.is_empty() || path == INDEX || (Files::get(path).is_none() && navigates(headers)) {
        let no_page = || Failure::not_found("This build of Fresco has no page; `make build` makes one that has");
        return deliver::<Files>(INDEX, headers).ok_or_else(no_page);
    }
    deliver::<Files>(path, headers).ok_or_else(missing)
}

/// Whether a person goes to an address, for which the page itself knows what to show.
fn navigates(headers: &HeaderMap) -> bool {
    let says = |name: &str, part: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(|value| value.contains(part))
    };
    says("accept", "text/html").unwrap_or(false) && says("sec-fetch-mode", "navigate").unwrap_or(true)
}

fn deliver<Files: RustEmbed>(path: &str, headers: &HeaderMap) -> Option<Response> {
    let plain = Files::get(path)?;
    let kind = content_type(&plain);
    let squeezed = if accepts_brotli(headers) { Files::get(&format!("{path}.br")) } else { None };
    let encoded = squeezed.is_some();
    let file = squeezed.unwrap_or(plain);
    let tag = etag(&file);
    let mut response = if known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(bytes(file)).into_response()
    };
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, kind);
    set.insert(header::ETAG, tag);
    // Kept by the browser, but asked for each time: a new build shows at once.
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    set.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if encoded {
        set.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    Some(response)
}

/// The media type by the name's ending; text is UTF-8.
fn content_type(file: &EmbeddedFile) -> HeaderValue {
    let kind = file.metadata.mimetype();
    let text = kind.starts_with("text/") || kind == "application/javascript";
    let kind = if text { format!("{kind}; charset=utf-8") } else { kind.to_owned() };
    HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// A tag that changes with the content.
fn etag(file: &EmbeddedFile) -> HeaderValue {
    let mut tag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        // Writing to a string does not fail.
        _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// A file's bytes, not copied when they lie in the program.
fn bytes(file: EmbeddedFile) -> Bytes {
    match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

/// Whether the client has this version.
pub(super) fn known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();
    let listed = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    listed.split(',').map(str::trim).any(|known| known.trim_start_matches("W/") == tag || known == "*")
}

fn accepts_brotli(headers: &HeaderMap) -> bool {
    let listed = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    listed.split(',').any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>();
        name.trim().eq_ignore_ascii_case("br") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests;

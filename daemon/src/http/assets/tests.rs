//! The page's delivery, on a bundle of four small files.

use super::*;

#[derive(RustEmbed)]
#[folder = "tests/page"]
struct Bundle;

/// A bundle that was never built.
#[derive(RustEmbed)]
#[folder = "tests/no-page"]
#[allow_missing = true]
struct Nothing;

fn get<Files: RustEmbed>(path: &'static str, headers: &[(&'static str, &'static str)]) -> Result<Response, Failure> {
    let headers =
        headers.iter().map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)));
    answer::<Files>(&Method::GET, &Uri::from_static(path), &headers.collect())
}

fn found(path: &'static str, headers: &[(&'static str, &'static str)]) -> Response {
    get::<Bundle>(path, headers).expect(path)
}

fn header_of(response: &Response, name: header::HeaderName) -> &str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn status(answer: Result<Response, Failure>) -> StatusCode {
    answer.unwrap_or_else(IntoResponse::into_response).status()
}

#[tokio::test]
async fn the_root_is_the_page() {
    let response = found("/", &[]);
    assert_eq!(header_of(&response, header::CONTENT_TYPE), "text/html; charset=utf-8");
    assert_eq!(header_of(&response, header::CACHE_CONTROL), "no-cache");
    assert!(text(response).await.contains("<title>Fresco"));
}

#[tokio::test]
async fn brotli_is_sent_to_whoever_takes_it() {
    let plain = found("/pkg/app.wasm", &[("accept-encoding", "gzip, br;q=0")]);
    assert_eq!(header_of(&plain, header::CONTENT_ENCODING), "");
    assert_eq!(text(plain).await, "plain wasm");
    let small = found("/pkg/app.wasm", &[("accept-encoding", "gzip, br")]);
    assert_eq!(header_of(&small, header::CONTENT_ENCODING), "br");
    assert_eq!(header_of(&small, header::CONTENT_TYPE), "application/wasm");
    assert_eq!(text(small).await, "small wasm");
}

#[test]
fn a_known_version_is_not_sent_again() {
    let first = found("/app.js", &[]);
    let tag = header_of(&first, header::ETAG).to_owned();
    assert_eq!(header_of(&first, header::CONTENT_TYPE), "text/javascript; charset=utf-8");
    let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(&tag).expect("a tag"))]);
    let again = answer::<Bundle>(&Method::GET, &Uri::from_static("/app.js"), &headers).expect("found");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

#[test]
fn only_a_navigation_falls_back_to_the_page() {
    let person = [("accept", "text/html,*/*;q=0.8"), ("sec-fetch-mode", "navigate")];
    assert_eq!(status(get::<Bundle>("/gallery/7", &person)), StatusCode::OK);
    assert_eq!(status(get::<Bundle>("/gallery/7", &[("accept", "*/*")])), StatusCode::NOT_FOUND);
    assert_eq!(status(get::<Bundle>("/missing.js", &[])), StatusCode::NOT_FOUND);
    let posted = answer::<Bundle>(&Method::POST, &Uri::from_static("/gallery"), &HeaderMap::new());
    assert_eq!(status(posted), StatusCode::NOT_FOUND);
}

#[test]
fn nothing_outside_the_bundle_is_served() {
    for path in ["/../Cargo.toml", "/..%2fCargo.toml", "//etc/passwd", "/pkg/../../Cargo.toml"] {
        assert_eq!(status(get::<Bundle>(path, &[])), StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn a_build_without_a_page_says_so() {
    assert_eq!(status(get::<Nothing>("/", &[("accept", "text/html")])), StatusCode::NOT_FOUND);
}

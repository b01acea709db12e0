//! Files over HTTP: the embedded model's, and the page where this build has one.

use crate::support::daemon::{Daemon, refused};
use reqwest::{Method, StatusCode};

const WEIGHTS: &str = "/weights/fresco-tiny/unet/diffusion_pytorch_model.safetensors";

#[tokio::test]
async fn a_part_of_a_weights_file_is_that_part() {
    let daemon = Daemon::start().await;
    let whole = daemon.get(WEIGHTS).await;
    assert_eq!((whole.status(), whole.headers()["accept-ranges"].as_bytes()), (StatusCode::OK, &b"bytes"[..]));
    let tag = whole.headers()["etag"].clone();
    let whole = whole.bytes().await.expect("bytes");
    let disk =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../public/models/fresco-tiny/unet/diffusion_pytorch_model.safetensors");
    assert!(whole == std::fs::read(disk).expect("the file"));

    let range = |range: &'static str| daemon.ask(Method::GET, WEIGHTS).header("range", range);
    let part = range("bytes=8-1007").header("if-range", &tag).send().await.expect("answers");
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"].to_str().ok(), Some(&*format!("bytes 8-1007/{}", whole.len())));
    assert!(part.bytes().await.expect("bytes") == whole.slice(8..1008));

    let changed = range("bytes=0-9").header("if-range", "\"old\"").send().await.expect("answers");
    assert_eq!((changed.status(), changed.content_length()), (StatusCode::OK, Some(whole.len() as u64)));
    let beyond = range("bytes=999999999-").send().await.expect("answers");
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let known = daemon.ask(Method::GET, WEIGHTS).header("if-none-match", &tag).send().await.expect("answers");
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let head = daemon.ask(Method::HEAD, WEIGHTS).send().await.expect("answers");
    assert_eq!(head.headers()["content-length"].to_str().ok(), Some(&*whole.len().to_string()));
}

#[tokio::test]
async fn only_files_of_the_model_are_served() {
    let daemon = Daemon::start().await;
    for path in ["none", "unet", "..%2f..%2f..%2fCargo.toml", "unet/../../../../Cargo.toml", "%2fetc%2fpasswd"] {
        let answer = daemon.get(&format!("/weights/fresco-tiny/{path}")).await;
        refused(answer, StatusCode::NOT_FOUND).await;
    }
    refused(daemon.get("/weights/other/model_index.json").await, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn the_page_comes_from_the_same_port() {
    let daemon = Daemon::start().await;
    let answer = daemon.ask(Method::GET, "/").header("accept", "text/html").send().await.expect("answers");
    if answer.status() == StatusCode::NOT_FOUND {
        // This build was made before the page was.
        assert!(refused(answer, StatusCode::NOT_FOUND).await.message.contains("no page"));
        return;
    }
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let tag = answer.headers()["etag"].clone();
    let again = daemon.ask(Method::GET, "/").header("if-none-match", tag).send().await.expect("answers");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let html = answer.text().await.expect("text");
    assert!(!html.contains("http://") && !html.contains("https://"), "the page names no other host");
}

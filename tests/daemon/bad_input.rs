//! Every bad request gets a 4xx that names the field, and the daemon goes on serving.

use crate::support::daemon::{Daemon, refused};
use fresco_api::{ErrorCode, routes};
use reqwest::{Body, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

async fn send(daemon: &Daemon, kind: &str, body: impl Into<Body>) -> Response {
    let ask = daemon.ask(Method::POST, routes::TEXT2IMG).header("content-type", kind).body(body);
    ask.send().await.expect("answers")
}

#[tokio::test]
async fn each_bad_value_names_its_field() {
    let daemon = Daemon::start().await;
    let with = |field: &str, value: Value| json!({"prompt": "a tent", field: value});
    let cases = [
        ("prompt", with("prompt", json!(""))),
        ("prompt", json!({})),
        ("prompt", with("prompt", json!("x".repeat(100_000)))),
        ("prompt", with("prompt", json!(null))),
        ("negativePrompt", with("negativePrompt", json!("é".repeat(100_000)))),
        ("width", with("width", json!(511))),
        ("width", with("width", json!(66))),
        ("width", with("width", json!(4_294_967_295u32))),
        ("width", with("width", json!("64"))),
        ("height", with("height", json!(-64))),
        ("height", with("height", json!(1e20))),
        ("steps", with("steps", json!(1_000_000_000))),
        ("steps", with("steps", json!(0))),
        ("steps", with("steps", json!(2.5))),
        ("guidanceScale", with("guidanceScale", json!(-1.0))),
        ("guidanceScale", with("guidanceScale", json!(1e39))),
        ("guidanceScale", with("guidanceScale", json!("NaN"))),
        ("sampler", with("sampler", json!("magic"))),
        ("scheduler", with("scheduler", json!("magic"))),
        ("scheduler", json!({"prompt": "x", "sampler": "PLMS", "scheduler": "karras"})),
        ("eta", with("eta", json!(0.5))),
        ("rng", with("rng", json!("dice"))),
        ("seed", with("seed", json!(-1))),
        ("promt", with("promt", json!("a typo"))),
    ];
    for (field, body) in cases {
        let error = refused(daemon.post(routes::TEXT2IMG, &body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidField, Some(field)), "{error}");
        assert!(!error.message.is_empty() && error.message.len() < 300, "{error}");
    }
    daemon.still_serves().await;
}

#[tokio::test]
async fn the_first_sentence_is_the_documented_one() {
    let daemon = Daemon::start().await;
    let answer = daemon.post(routes::TEXT2IMG, &json!({"prompt": ""})).await;
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body, json!({"error": "Prompt is required", "code": "invalid_field", "field": "prompt"}));
}

#[tokio::test]
async fn an_unknown_model_is_named_and_no_path_is_opened() {
    let daemon = Daemon::start().await;
    for model in ["sd9", "", "../..", "/etc", "public/models/fresco-tiny"] {
        let answer = daemon.post(routes::TEXT2IMG, &json!({"prompt": "x", "model": model})).await;
        let error = refused(answer, StatusCode::BAD_REQUEST).await;
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::UnknownModel, Some("model")), "{model}");
    }
    daemon.still_serves().await;
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let daemon = Daemon::start().await;
    let deep = "[".repeat(100_000);
    for body in ["", "prompt=x", "{\"prompt\":", "[]", "\"x\"", "{} {}", "\u{0}", deep.as_str()] {
        let answer = send(&daemon, "application/json", body.to_owned()).await;
        let error = refused(answer, StatusCode::BAD_REQUEST).await;
        assert_eq!(error.code, ErrorCode::InvalidJson, "{:.20}", body);
    }
    let answer = send(&daemon, "application/json", r#"{"prompt":"x","guidanceScale":NaN}"#).await;
    let error = refused(answer, StatusCode::BAD_REQUEST).await;
    assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidJson, Some("guidanceScale")));
    let answer = send(&daemon, "application/json; charset=utf-8", &b"{\"prompt\":\"\xff\"}"[..]).await;
    refused(answer, StatusCode::BAD_REQUEST).await;
    daemon.still_serves().await;
}

#[tokio::test]
async fn another_media_type_is_refused() {
    let daemon = Daemon::start().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let answer = send(&daemon, kind, r#"{"prompt":"x"}"#).await;
        assert_eq!(refused(answer, StatusCode::UNSUPPORTED_MEDIA_TYPE).await.code, ErrorCode::InvalidJson);
    }
}

#[tokio::test]
async fn a_body_of_100_mb_gets_a_clean_answer() {
    let daemon = Daemon::start().await;
    let body = vec![b' '; 100_000_000];
    let error = refused(send(&daemon, "application/json", body).await, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert_eq!(error.code, ErrorCode::TooLarge);
    let host = daemon.base.trim_start_matches("http://").to_owned();
    let answer = tokio::task::spawn_blocking(move || stubborn(&host)).await.expect("no panic");
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains(r#""code":"too_large""#), "{answer}");
    daemon.still_serves().await;
}

/// A client that sends all of its 100 MB before it reads a word.
fn stubborn(host: &str) -> String {
    let mut stream = TcpStream::connect(host).expect("somebody listens");
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\
         Connection: close\r\n\r\n",
        routes::TEXT2IMG
    );
    stream.write_all(head.as_bytes()).expect("takes the head");
    for _ in 0..100 {
        stream.write_all(&vec![b' '; 1_000_000]).expect("takes the body");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answers");
    answer
}

#[tokio::test]
async fn a_route_that_does_not_exist_answers_in_json() {
    let daemon = Daemon::start().await;
    let lost = refused(daemon.post("/generate/poem", &json!({})).await, StatusCode::NOT_FOUND).await;
    assert_eq!(lost.code, ErrorCode::NotFound);
    let answer = daemon.get(routes::TEXT2IMG).await;
    assert_eq!(answer.headers()["allow"], "POST");
    refused(answer, StatusCode::METHOD_NOT_ALLOWED).await;
    refused(daemon.post(routes::HEALTH, &json!({})).await, StatusCode::METHOD_NOT_ALLOWED).await;
}

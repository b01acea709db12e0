//! What a page from elsewhere tries.

use crate::support::daemon::{Daemon, refused};
use fresco_api::{ErrorCode, Job, routes};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

async fn post(daemon: &Daemon, headers: &[(&str, &str)]) -> Response {
    let ask = daemon.ask(Method::POST, routes::TEXT2IMG).json(&json!({"prompt": "x", "steps": 1}));
    headers.iter().fold(ask, |ask, (name, value)| ask.header(*name, *value)).send().await.expect("answers")
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_on_every_path() {
    let daemon = Daemon::start().await;
    let job = daemon.submit_steps(1).await;
    for path in ["/", routes::HEALTH, routes::JOBS, &routes::job_events(&job.id), "/weights/fresco-tiny/fresco.json"] {
        let ask = daemon.ask(Method::GET, path).header("host", "evil.example:7860");
        let error = refused(ask.send().await.expect("answers"), StatusCode::MISDIRECTED_REQUEST).await;
        assert_eq!(error.code, ErrorCode::Forbidden, "{path}");
    }
    for host in ["localhost", "127.0.0.1:9999", "[::1]"] {
        let ask = daemon.ask(Method::GET, routes::HEALTH).header("host", host);
        assert_eq!(ask.send().await.expect("answers").status(), StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn another_site_cannot_change_anything() {
    let daemon = Daemon::start().await;
    let own = daemon.base.clone();
    let foreign: [&[(&str, &str)]; 5] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
    ];
    for headers in foreign {
        let error = refused(post(&daemon, headers).await, StatusCode::FORBIDDEN).await;
        assert_eq!(error.code, ErrorCode::Forbidden, "{headers:?}");
    }
    assert!(daemon.get(routes::JOBS).await.json::<Vec<Job>>().await.expect("a list").is_empty());
    for headers in [&[("sec-fetch-site", "same-origin")][..], &[("sec-fetch-site", "none")], &[("origin", &own)], &[]] {
        assert_eq!(post(&daemon, headers).await.status(), StatusCode::ACCEPTED, "{headers:?}");
    }
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_it_may_do() {
    let daemon = Daemon::start().await;
    for path in ["/", routes::HEALTH, "/nowhere"] {
        let answer = daemon.get(path).await;
        let policy = answer.headers()["content-security-policy"].to_str().expect("text");
        assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval';") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe-inline") && !policy.contains("http"));
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
}

//! Health and the catalogue.

use crate::support::daemon::{Daemon, config, refused};
use fresco_api::{ErrorCode, Health, ModelInfo, routes};
use fresco_daemon::{
    config::{Config, Rate},
    engine::{Bench, EngineError, Pinned, Progress, Task, fake},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    num::NonZeroU32,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

#[tokio::test]
async fn health_names_the_device_once_it_is_chosen() {
    let daemon = Daemon::start().await;
    let start = Instant::now();
    loop {
        let health: Health = daemon.get(routes::HEALTH).await.json().await.expect("health");
        assert_eq!((health.status.as_str(), health.version.as_str()), ("ok", env!("CARGO_PKG_VERSION")));
        if health.device.as_deref() == Some("fake") {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "no device");
    }
}

/// A device that takes its time to open.
struct Slow;

impl Bench for Slow {
    fn open(&mut self) -> Result<String, fresco_api::ApiError> {
        sleep(Duration::from_secs(3));
        Ok("slow".to_owned())
    }

    fn run(&mut self, _: &Task, _: Progress) -> Result<fresco_diffusion::Output, EngineError> {
        Err(EngineError::Cancelled)
    }
}

#[tokio::test]
async fn health_does_not_wait_for_the_device() {
    let start = Instant::now();
    let daemon = Daemon::with(config(), Arc::new(Pinned::start(|| Slow).expect("a thread"))).await;
    let health: Health = daemon.get(routes::HEALTH).await.json().await.expect("health");
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    assert_eq!((health.status.as_str(), health.device), ("ok", None));
}

#[tokio::test]
async fn the_catalogue_starts_with_the_embedded_model() {
    let daemon = Daemon::start().await;
    let models: Vec<ModelInfo> = daemon.get(routes::MODELS).await.json().await.expect("a list");
    let tiny = models.first().expect("a model");
    assert_eq!((tiny.id.0.as_str(), tiny.demo, tiny.latent_factor, tiny.default_side), ("fresco-tiny", true, 8, 128));
}

#[tokio::test]
async fn a_daemon_says_when_it_is_ready() {
    let daemon = Daemon::with(config(), Arc::new(Pinned::start(|| Slow).expect("a thread"))).await;
    let answer = daemon.get(routes::READY).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let said: Value = answer.json().await.expect("JSON");
    assert!(said["ready"] == false && said["problems"][0].as_str().is_some_and(|why| why.contains("device")), "{said}");
    let daemon = Daemon::start().await;
    daemon.still_serves().await;
    assert_eq!(daemon.get(routes::READY).await.status(), StatusCode::OK);
    daemon.post(routes::QUEUE_PAUSE, &json!({})).await;
    assert_eq!(daemon.get(routes::READY).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn numbers_are_told_as_prometheus_reads_them() {
    let daemon = Daemon::start().await;
    daemon.still_serves().await;
    daemon.get("/nowhere").await;
    let answer = daemon.get(routes::METRICS).await;
    assert!(answer.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let page = answer.text().await.expect("text");
    for line in [
        "fresco_jobs{state=\"queued\"} 0",
        "fresco_jobs_ended_total{outcome=\"completed\"} 1",
        "fresco_images 1",
        "fresco_uploads_waiting 0",
        "fresco_http_requests_total{class=\"4xx\"} 1",
        "# TYPE fresco_http_requests_total counter",
    ] {
        assert!(page.lines().any(|said| said == line), "{line}\n{page}");
    }
    assert!(!page.contains("tent"), "nothing of a request");
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_to_wait() {
    let rate = Rate { per_second: NonZeroU32::MIN, loopback: true };
    let limited = Config { rate: Some(rate), ..config() };
    let daemon = Daemon::with(limited, Arc::new(fake::start(Duration::from_millis(1)).expect("a thread"))).await;
    let mut last = daemon.get(routes::HEALTH).await;
    for _ in 0..6 {
        last = daemon.get(routes::HEALTH).await;
    }
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(last.headers()["retry-after"], "1");
    assert_eq!(last.headers()["x-content-type-options"], "nosniff");
    assert_eq!(refused(last, StatusCode::TOO_MANY_REQUESTS).await.code, ErrorCode::Busy);
}

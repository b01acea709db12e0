//! Health and the catalogue.

use crate::support::daemon::{Daemon, config};
use fresco_api::{Health, ModelInfo, routes};
use fresco_daemon::engine::{Bench, EngineError, Pinned, Progress, Task};
use std::{
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

//! How the daemon is.

use super::error::Failure;
use crate::app::App;
use axum::{Json, extract::State};
use fresco_api::{Health, QueueStatus};

/// `GET /health`: answers from the first moment, before a device is chosen.
pub(super) async fn health(State(app): State<App>) -> Json<Health> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Json(Health { status: "ok".to_owned(), version, device: app.engine.device() })
}

/// `GET /queue/status`.
pub(super) async fn queue(State(app): State<App>) -> Result<Json<QueueStatus>, Failure> {
    Ok(Json(app.queue.status().await?))
}

/// `POST /queue/pause`: no job is taken any more, those that run go on.
pub(super) async fn pause(State(app): State<App>) -> Result<Json<QueueStatus>, Failure> {
    Ok(Json(app.queue.pause(true).await?))
}

/// `POST /queue/resume`.
pub(super) async fn resume(State(app): State<App>) -> Result<Json<QueueStatus>, Failure> {
    Ok(Json(app.queue.pause(false).await?))
}

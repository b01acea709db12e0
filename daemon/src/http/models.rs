//! The catalogue over HTTP.

use super::error::Failure;
use crate::app::App;
use axum::{Json, extract::State};
use fresco_api::{ApiError, ErrorCode, ModelInfo};

/// `GET /models`: what can be named in a request, the default model first.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<ModelInfo>>, Failure> {
    let catalogue = app.catalogue.clone();
    let listed = tokio::task::spawn_blocking(move || catalogue.list()).await;
    let entries = listed.map_err(|_| ApiError::new(ErrorCode::Internal, "The catalogue cannot be read"))?;
    for broken in entries.iter().filter_map(|entry| entry.as_ref().err()) {
        tracing::debug!(model = %broken.id, "left out: {}", broken.error);
    }
    Ok(Json(entries.into_iter().flatten().map(|model| model.info.clone()).collect()))
}

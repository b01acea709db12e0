//! The catalogue over HTTP: what there is, which files it has, and what leaves the shelf.

use super::error::Failure;
use crate::{app::App, models::Model};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use fresco_api::{ApiError, ErrorCode, ModelFile, ModelId, ModelInfo};
use std::sync::Arc;

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

/// `GET /models/{id}/files`: what a page fetches that runs the model in its own tab.
pub(super) async fn files(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Vec<ModelFile>>, Failure> {
    Ok(Json(with_files(&app, id).await?.1))
}

/// `DELETE /models/{id}`: takes a model that was fetched off the shelf; 204.
pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    let pulls = app.pulls.clone();
    let removed = tokio::task::spawn_blocking(move || pulls.remove(&id)).await;
    removed.map_err(|_| ApiError::new(ErrorCode::Internal, "The model cannot be removed"))??;
    Ok(StatusCode::NO_CONTENT)
}

/// A model with the files that are given out: those whose content is known.
pub(super) async fn with_files(app: &App, id: String) -> Result<(Arc<Model>, Vec<ModelFile>), Failure> {
    let catalogue = app.catalogue.clone();
    let found = tokio::task::spawn_blocking(move || {
        let model = catalogue.find(Some(&ModelId(id))).ok()?;
        let files = model.files.listed();
        Some((model, files))
    });
    let found = found.await.map_err(|_| ApiError::new(ErrorCode::Internal, "The catalogue cannot be read"))?;
    let (model, files) = found.ok_or_else(|| Failure::not_found("There is no such model here"))?;
    let files =
        files.ok_or_else(|| Failure::not_found("Only files of models that were fetched from a hub are given"))?;
    Ok((model, files))
}

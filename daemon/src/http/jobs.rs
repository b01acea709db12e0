//! Jobs: submitted, looked at, stopped.

use super::{body::JsonBody, error::Failure};
use crate::{app::App, clock::random_seed, queue::store::Filter};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use fresco_api::{ApiError, ErrorCode, ImageRequest, Job, JobId, JobKind, JobStatus, ModelId, ModelInfo, routes};
use serde::de::{IntoDeserializer, value::Error as ValueError};
use std::collections::HashMap;

/// Jobs that a list has when nothing else is asked, and at most.
const LISTED: usize = 50;
const MOST_LISTED: usize = 1_000;

/// `POST /generate/text2img`: 202 and the job.
pub(super) async fn text2img(
    State(app): State<App>,
    JsonBody(request): JsonBody<ImageRequest>,
) -> Result<Response, Failure> {
    let model = model(&app, request.model.clone()).await?;
    let params = request.resolve(&model, random_seed())?;
    accepted(&app.queue.submit(JobKind::Text2img, request.into(), params.into()).await?)
}

/// 202, the job, and where it is.
pub(super) fn accepted(job: &Job) -> Result<Response, Failure> {
    let place = [(header::LOCATION, routes::job(&job.id))];
    Ok((StatusCode::ACCEPTED, place, Json(job)).into_response())
}

/// `GET /jobs/{id}`.
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Job>, Failure> {
    Ok(Json(app.queue.job(&JobId(id)).await?))
}

/// `GET /jobs?status=&limit=`: the newest first, without their pictures.
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Vec<Job>>, Failure> {
    let filter = Filter { status: wanted_status(&query)?, limit: wanted_limit(&query)? };
    Ok(Json(app.queue.newest(filter).await?))
}

/// `POST /jobs/{id}/cancel`: 200 when it has ended, 202 when it ends at its next step.
pub(super) async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result<(StatusCode, Json<Job>), Failure> {
    let job = app.queue.cancel(&JobId(id)).await?;
    let status = if job.status.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(job)))
}

/// The catalogue may have to read folders.
pub(super) async fn model(app: &App, id: Option<ModelId>) -> Result<ModelInfo, Failure> {
    let catalogue = app.catalogue.clone();
    let found = tokio::task::spawn_blocking(move || catalogue.find(id.as_ref())).await;
    let broken = |_| ApiError::new(ErrorCode::BadModel, "The model cannot be read").at("model");
    Ok(found.map_err(broken)??.info.clone())
}

fn wanted_status(query: &HashMap<String, String>) -> Result<Option<JobStatus>, ApiError> {
    let Some(name) = query.get("status").filter(|name| !name.is_empty()) else { return Ok(None) };
    let named = serde::Deserialize::deserialize(name.as_str().into_deserializer());
    named.map(Some).map_err(|_: ValueError| {
        ApiError::field("status", "status must be queued, processing, completed, failed or cancelled")
    })
}

fn wanted_limit(query: &HashMap<String, String>) -> Result<usize, ApiError> {
    let Some(text) = query.get("limit").filter(|text| !text.is_empty()) else { return Ok(LISTED) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
    limit.ok_or_else(|| ApiError::field("limit", format!("limit must be 1 to {MOST_LISTED}")))
}

//! Models on their way from the hub to this machine: asked for, followed, stopped.

use super::{error::Failure, events::server_sent};
use crate::app::App;
use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response, sse::Event},
};
use fresco_api::{Pull, routes};
use futures_util::StreamExt;

/// `POST /models/{id}/pull`: 202 and how far it is. What is asked for twice is fetched once.
pub(super) async fn start(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Failure> {
    let pull = app.pulls.start(&id)?;
    let place = [(header::LOCATION, routes::pull(&pull.id))];
    Ok((StatusCode::ACCEPTED, place, Json(pull)).into_response())
}

/// `GET /pulls`.
pub(super) async fn list(State(app): State<App>) -> Json<Vec<Pull>> {
    Json(app.pulls.list())
}

/// `GET /pulls/{id}`.
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Pull>, Failure> {
    Ok(Json(app.pulls.find(&id)?))
}

/// `DELETE /pulls/{id}`: 200 when it has ended, 202 when it ends in a moment.
pub(super) async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Failure> {
    let pull = app.pulls.cancel(&id)?;
    let status = if pull.status.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(pull)).into_response())
}

/// `GET /pulls/{id}/events`: how far it is, at once and at each change; the last one is final.
pub(super) async fn events(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Failure> {
    let told = app.pulls.follow(&id)?.map(|pull| Event::default().event("pull").json_data(&pull));
    Ok(server_sent(told.take_until(app.stopping.cancelled_owned())))
}

//! A job's events as server-sent events.

use super::error::Failure;
use crate::app::App;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use fresco_api::{JobEvent, JobId};
use futures_util::{Stream, StreamExt};
use std::time::Duration;

/// A client that lost its connection comes back after so long.
const RETRY: Duration = Duration::from_secs(1);
/// A comment is sent so often when nothing happens, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /jobs/{id}/events`: every event from the first, or from the one after `Last-Event-ID`.
///
/// The stream ends with the final event. A client that has heard that one gets 204, which tells an
/// `EventSource` to stay away.
pub(super) async fn listen(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let story = app.queue.story(&JobId(id), last_heard(&headers)).await?;
    if story.told() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let events = story.stream().map(|(number, event)| encode(number, &event));
    let events = events.take_until(app.stopping.cancelled_owned());
    // A proxy that collects an answer before it passes it on would hold the events back.
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((headers, server_sent(events)).into_response())
}

fn server_sent(events: impl Stream<Item = Result<Event, axum::Error>> + Send + 'static) -> Response {
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// The number of the last event that the client has; 0 when it says nothing that makes sense.
fn last_heard(headers: &HeaderMap) -> u64 {
    let said = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    said.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn encode(number: u64, event: &JobEvent) -> Result<Event, axum::Error> {
    Event::default().id(number.to_string()).event(event.name()).retry(RETRY).json_data(event)
}

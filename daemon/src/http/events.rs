//! A job's events as server-sent events.

use super::{error::Failure, owner::Owner, shape::Shape};
use crate::app::App;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use fresco_api::JobId;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
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
    Shape(view): Shape,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let story = app.queue.story(&JobId(id), view, last_heard(&headers).unwrap_or(0)).await?;
    if story.told() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let events = story.stream().map(|(number, event)| encode(number, event.name(), &event));
    Ok(server_sent(events.take_until(app.stopping.cancelled_owned())))
}

/// `GET /events`: the events of all of the caller's jobs, from now on or after the number of the header
/// `Last-Event-ID`. The number may be of an earlier run of the server: then the stream begins with the ends of the
/// jobs that ended since, of which some may have been told before.
pub(super) async fn all(State(app): State<App>, owner: Owner, headers: HeaderMap) -> Response {
    let feed = app.queue.feed(owner.name, last_heard(&headers));
    let events = feed.stream().map(|(number, event)| encode(number, event.event.name(), &event));
    server_sent(events.take_until(app.stopping.cancelled_owned()))
}

/// An answer of server-sent events.
pub(super) fn server_sent(events: impl Stream<Item = Result<Event, axum::Error>> + Send + 'static) -> Response {
    // A proxy that collects an answer before it passes it on would hold the events back.
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response()
}

/// The number of the last event that the client has, if it says one that makes sense.
fn last_heard(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id").and_then(|value| value.to_str().ok()?.trim().parse().ok())
}

fn encode(number: u64, name: &str, event: &impl Serialize) -> Result<Event, axum::Error> {
    Event::default().id(number.to_string()).event(name).retry(RETRY).json_data(event)
}

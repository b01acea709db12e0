//! What machines watch: whether the daemon can work, and its numbers as Prometheus reads them.

use super::error::Failure;
use crate::app::App;
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Requests by the first digit of their answer's status.
#[derive(Default)]
pub(crate) struct Counts([AtomicU64; 6]);

/// The answer of `GET /ready`.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    /// Why it is not, a sentence each.
    problems: Vec<String>,
}

/// Counts an answer. What goes to nowhere counts too: nothing of a path gets into a number's name.
pub(super) async fn count(State(counts): State<Arc<Counts>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let class = usize::from(response.status().as_u16() / 100);
    if let Some(count) = counts.0.get(class) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    response
}

/// `GET /ready`: 200 when a job would be worked on now, else 503 and why not.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let mut problems = Vec::new();
    if app.engine.device().is_none() {
        problems.push("No device has been chosen yet, or none works".to_owned());
    }
    match app.queue.status().await {
        Ok(status) if status.paused => problems.push("The queue is paused".to_owned()),
        Ok(_) => {}
        // What the database says is for the log.
        Err(error) => {
            tracing::error!("{error}");
            problems.push("The database does not answer".to_owned());
        }
    }
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: problems.is_empty(), problems })).into_response()
}

/// `GET /metrics`, in Prometheus's text form. Nothing of a request, a user or a job is in it.
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Failure> {
    let queue = app.queue.status().await?;
    let totals = app.images.totals().await?;
    let mut page = Page::default();
    page.metric("fresco_build_info", "gauge", "The daemon's version.");
    page.value(&format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1);
    page.metric("fresco_jobs", "gauge", "Jobs that have not ended, by state.");
    page.value("state=\"queued\"", queue.queued_jobs);
    page.value("state=\"processing\"", queue.processing_jobs);
    page.metric("fresco_jobs_ended_total", "counter", "Jobs that have ended, by outcome.");
    page.value("outcome=\"completed\"", queue.completed_jobs);
    page.value("outcome=\"failed\"", queue.failed_jobs);
    page.metric("fresco_queue_paused", "gauge", "Whether no job is taken.");
    page.value("", u64::from(queue.paused));
    page.metric("fresco_images", "gauge", "Stored pictures.");
    page.value("", totals.images);
    page.metric("fresco_image_bytes", "gauge", "Bytes of their files.");
    page.value("", totals.bytes);
    page.metric("fresco_uploads_waiting", "gauge", "Files that only this machine has until the bucket listens.");
    page.value("", totals.waiting_uploads);
    page.metric("fresco_http_requests_total", "counter", "Requests, by the class of their answer.");
    for class in 1..=5 {
        page.value(&format!("class=\"{class}xx\""), app.counts.0[class].load(Ordering::Relaxed));
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], page.text)
        .into_response())
}

/// Prometheus's text form (exposition format 0.0.4).
#[derive(Default)]
struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    /// What the values that follow are.
    fn metric(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        // A string takes everything.
        _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A value with its labels.
    fn value(&mut self, labels: &str, value: u64) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_in_the_form_that_prometheus_reads() {
        let mut page = Page::default();
        page.metric("fresco_jobs", "gauge", "Jobs.");
        page.value("state=\"queued\"", 3);
        page.value("", 4);
        let expected =
            "# HELP fresco_jobs Jobs.\n# TYPE fresco_jobs gauge\nfresco_jobs{state=\"queued\"} 3\nfresco_jobs 4\n";
        assert_eq!(page.text, expected);
    }
}

//! The daemon's engine: posts a job, follows its events, cancels it.

use super::Listener;
use crate::net;
use fresco_api::{AnyRequest, ApiError, ErrorCode, Job, JobEvent, JobId, JobStatus, routes};
use fresco_web::wait::wait;
use futures_util::{
    StreamExt,
    future::{Either, select},
    stream::select_all,
};
use gloo_net::{
    eventsource::futures::{EventSource, EventSourceSubscription},
    http::Request,
};
use leptos::task::spawn_local;
use std::{cell::RefCell, pin::pin, rc::Rc};

/// The event names that the daemon sends; they are [`JobEvent::name`]'s.
const NAMES: [&str; 7] = ["queued", "loading", "step", "preview", "done", "failed", "cancelled"];
/// After this much silence the page asks how the job is: events do not tell that a daemon has gone.
const SILENCE_MS: i32 = 10_000;

/// What the page knows of its job in the daemon.
#[derive(Default)]
enum Task {
    #[default]
    None,
    /// The answer to the request is not here yet; `true` when it is to be cancelled at once.
    Asked(bool),
    /// The daemon has accepted it.
    Accepted(JobId),
}

/// A handle to the daemon's engine; clones are the same engine.
#[derive(Clone, Default)]
pub struct DaemonEngine(Rc<RefCell<Task>>);

impl DaemonEngine {
    /// Starts a job.
    pub fn generate(&self, request: AnyRequest, listener: Listener) {
        let engine = self.clone();
        self.0.replace(Task::Asked(false));
        spawn_local(async move {
            let last = match engine.submit(&request).await {
                Ok(id) => follow(&id, &listener).await,
                Err(error) => JobEvent::Failed { error },
            };
            engine.0.replace(Task::None);
            listener(last);
        });
    }

    /// Asks for an end; the job's events tell when it has ended.
    pub fn cancel(&self) {
        match &mut *self.0.borrow_mut() {
            Task::None => {}
            Task::Asked(cancel) => *cancel = true,
            Task::Accepted(id) => spawn_local(cancel(id.clone())),
        }
    }

    async fn submit(&self, request: &AnyRequest) -> Result<JobId, ApiError> {
        let ask = Request::post(net::beside(route(request))).json(request).map_err(net::unreachable)?;
        let job: Job = net::read(ask.send().await.map_err(net::unreachable)?).await?;
        if matches!(self.0.replace(Task::Accepted(job.id.clone())), Task::Asked(true)) {
            spawn_local(cancel(job.id.clone()));
        }
        Ok(job.id)
    }
}

/// Where a request of its kind is posted.
fn route(request: &AnyRequest) -> &'static str {
    match request {
        AnyRequest::Text2img(_) => routes::TEXT2IMG,
        AnyRequest::Img2img(_) => routes::IMG2IMG,
        AnyRequest::Inpaint(_) => routes::INPAINT,
        AnyRequest::StyleTransfer(_) => routes::STYLE_TRANSFER,
    }
}

async fn cancel(id: JobId) {
    // A job that ended meanwhile refuses; its own events have told how it ended.
    let _ = Request::post(net::beside(&routes::job_cancel(&id))).send().await;
}

/// Passes on a job's events and returns the final one.
async fn follow(id: &JobId, listener: &Listener) -> JobEvent {
    let lost =
        || JobEvent::Failed { error: ApiError::new(ErrorCode::Internal, "This machine does not answer any more") };
    let Ok((_source, events)) = subscribe(id) else { return lost() };
    let mut events = pin!(select_all(events));
    loop {
        let silence = pin!(wait(SILENCE_MS));
        match select(events.next(), silence).await {
            Either::Left((Some(Ok((_, message))), _)) => {
                let text = message.data().as_string().unwrap_or_default();
                match serde_json::from_str::<JobEvent>(&text) {
                    Ok(event) if event.is_final() => return event,
                    Ok(event) => listener(event),
                    Err(_) => {}
                }
            }
            // The stream ended or went silent: the job itself knows more.
            Either::Left(_) => return outcome(id).await.unwrap_or_else(lost),
            Either::Right(_) => match net::get::<Job>(net::beside(&routes::job(id))).await {
                Ok(job) if !job.status.is_final() => {}
                Ok(job) => return last_event(job),
                Err(_) => return lost(),
            },
        }
    }
}

fn subscribe(id: &JobId) -> Result<(EventSource, Vec<EventSourceSubscription>), gloo_net::Error> {
    let js = gloo_net::Error::JsError;
    let mut source = EventSource::new(net::beside(&routes::job_events(id))).map_err(js)?;
    let events = NAMES.into_iter().map(|name| source.subscribe(name)).collect::<Result<_, _>>().map_err(js)?;
    Ok((source, events))
}

async fn outcome(id: &JobId) -> Option<JobEvent> {
    let job = net::get::<Job>(net::beside(&routes::job(id))).await.ok()?;
    job.status.is_final().then(|| last_event(job))
}

/// The event that ended a job.
fn last_event(job: Job) -> JobEvent {
    let broken = || ApiError::new(ErrorCode::Internal, "The job ended without a result");
    match (job.status, job.result) {
        (JobStatus::Completed, Some(result)) => JobEvent::Done { result: Box::new(result) },
        (JobStatus::Cancelled, _) => JobEvent::Cancelled,
        _ => JobEvent::Failed { error: job.error.unwrap_or_else(broken) },
    }
}

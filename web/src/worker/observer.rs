//! Reports each stage of a job to the page, and lets the page's cancel message in.

use super::{host::Cancelled, port};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fresco_api::JobEvent;
use fresco_diffusion::{Observer, Picture, Stage};
use fresco_web::{protocol::Report, wait::wait};
use std::ops::ControlFlow;

/// Loading goes tensor by tensor; the event loop and the page need not hear of each.
const QUIET_MS: f64 = 40.0;

/// The least time between two previews.
const PREVIEW_MS: f64 = 500.0;

/// Watches one job.
pub struct JobObserver {
    job: u64,
    cancelled: Cancelled,
    last: f64,
    /// Whether previews are wanted.
    previews: bool,
    last_preview: f64,
}

impl JobObserver {
    /// A watcher for `job`, which ends when `cancelled` names it.
    pub fn new(job: u64, cancelled: Cancelled, previews: bool) -> Self {
        Self { job, cancelled, last: 0.0, previews, last_preview: 0.0 }
    }

    fn due(&mut self, stage: Stage) -> bool {
        let now = js_sys::Date::now();
        let due = !matches!(stage, Stage::Loading { loaded, total } if loaded < total) || now - self.last >= QUIET_MS;
        if due {
            self.last = now;
        }
        due
    }
}

impl Observer for JobObserver {
    async fn reached(&mut self, stage: Stage) -> ControlFlow<()> {
        if self.due(stage) {
            if let Some(event) = event(stage) {
                port::report(&Report::Job { job: self.job, event });
            }
            wait(0).await;
        }
        if self.cancelled.get() == Some(self.job) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn wants_preview(&mut self) -> bool {
        let now = js_sys::Date::now();
        let due = self.previews && now - self.last_preview >= PREVIEW_MS;
        if due {
            self.last_preview = now;
        }
        due
    }

    async fn preview(&mut self, picture: Picture) {
        let image = format!("data:image/png;base64,{}", STANDARD.encode(picture.png(&[])));
        port::report(&Report::Job { job: self.job, event: JobEvent::Preview { image } });
    }
}

fn event(stage: Stage) -> Option<JobEvent> {
    match stage {
        Stage::Loading { loaded, total } => Some(JobEvent::Loading { loaded, total }),
        Stage::Step { step, of } => Some(JobEvent::Step { step, of }),
        // The last step and the end of loading announce these.
        Stage::Encoding | Stage::Decoding => None,
    }
}

//! The two engines behind one face: a request goes in, one stream of job events comes out.

mod browser;
mod daemon;

pub use browser::{TabEngine, TabState};
pub use daemon::DaemonEngine;

use fresco_api::{AnyRequest, JobEvent};
use fresco_web::state::Place;
use std::rc::Rc;

/// Hears every event of one job, up to the final one.
pub type Listener = Rc<dyn Fn(JobEvent)>;

/// The engines of this page. Each runs one job at a time; the page asks for no more.
pub struct Engines {
    /// The worker in this tab.
    pub tab: TabEngine,
    /// The daemon that served the page.
    pub daemon: DaemonEngine,
}

impl Engines {
    /// Starts a job; `listener` hears of it.
    pub fn generate(&self, place: Place, request: AnyRequest, listener: Listener) {
        match place {
            Place::Tab => self.tab.generate(request, listener),
            Place::Daemon => self.daemon.generate(request, listener),
        }
    }

    /// Stops the job that runs there; its listener hears when it has stopped.
    pub fn cancel(&self, place: Place) {
        match place {
            Place::Tab => self.tab.cancel(),
            Place::Daemon => self.daemon.cancel(),
        }
    }
}

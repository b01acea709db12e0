//! Small pictures of a run that is not finished: not too often, and only the newest is kept.

use crate::picture;
use fresco_diffusion::Picture;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The least time between two previews.
const EVERY: Duration = Duration::from_millis(500);

/// Where an engine puts previews.
#[derive(Clone, Debug)]
pub struct Previews {
    newest: watch::Sender<Option<String>>,
    last: Option<Instant>,
}

impl Previews {
    /// A place for previews, and its other end.
    pub(super) fn new() -> (Self, watch::Receiver<Option<String>>) {
        let (newest, heard) = watch::channel(None);
        (Self { newest, last: None }, heard)
    }

    /// Whether it is time for one. Who asks and hears yes makes one.
    pub(super) fn due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.last.is_none_or(|last| now.duration_since(last) >= EVERY);
        if due {
            self.last = Some(now);
        }
        due
    }

    /// Replaces what nobody has seen yet.
    pub(super) fn show(&self, picture: &Picture) {
        self.newest.send_replace(Some(picture::data_url(&picture.png(&[]))));
    }
}

//! What HTTP handlers may touch.

use crate::{
    engine::Engine,
    http::{Counts, TabHub},
    images::Images,
    models::{Catalogue, pulls::Pulls},
    queue::Queue,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One per server, cloned into every handler.
#[derive(Clone)]
pub(crate) struct App {
    /// The jobs.
    pub queue: Queue,
    /// Asked for its device's name only: work goes through the queue.
    pub engine: Arc<dyn Engine>,
    /// The finished pictures.
    pub images: Images,
    /// How many requests were answered how.
    pub counts: Arc<Counts>,
    /// The models that a request may name.
    pub catalogue: Arc<Catalogue>,
    /// Models that are fetched from the hub.
    pub pulls: Pulls,
    /// The hub that a tab may ask by itself.
    pub tab_hub: TabHub,
    /// Fires when the server stops; ends event streams.
    pub stopping: CancellationToken,
}

//! The Fresco daemon: page, job queue and native engine behind one port.
//!
//! [`run`] is the whole server. It takes its listener and its end as arguments, so that a test
//! binds port 0 and stops it at will.

mod app;
pub mod cli;
mod clock;
pub mod config;
pub mod engine;
mod http;
pub mod images;
pub mod intake;
pub mod models;
mod picture;
pub mod queue;
pub mod tls;

use app::App;
use config::Config;
use engine::{Engine, local};
use models::Catalogue;
use queue::{MemoryStore, Queue, worker};
use std::{future::Future, io, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves on `listener` with the native engine until `shutdown` ends.
///
/// # Errors
/// When the engine's thread cannot be started or the listener fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let catalogue = Catalogue::new(&config.home, config.models.clone());
    let catalogue = Arc::new(catalogue.searching(&config.home, config::model_path()));
    let engine = Arc::new(local::start(catalogue.clone(), config.device)?);
    serve(config, catalogue, engine, listener, shutdown).await
}

/// The same with any engine.
///
/// Once `shutdown` ends, no connection is accepted, the running job is stopped at its next step,
/// event streams end, and the call returns within [`Config::grace`].
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    config: Config,
    catalogue: Arc<Catalogue>,
    engine: Arc<dyn Engine>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let stopping = CancellationToken::new();
    let queue = Queue::new(Arc::new(MemoryStore::new(config.queue)));
    let worker = tokio::spawn(worker::work(queue.clone(), engine.clone(), stopping.clone()));
    let hosts = http::Hosts::new(&config.hosts, listener.local_addr()?.ip());
    let app = App { queue, engine, catalogue, stopping: stopping.clone() };
    let server =
        axum::serve(listener, http::router(app, hosts)).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        ended = &mut server => return ended.unwrap_or_else(|error| Err(io::Error::other(error))),
        () = shutdown => stopping.cancel(),
    }
    tracing::info!("stopping");
    let orderly = async { _ = tokio::join!(server, worker) };
    if tokio::time::timeout(config.grace, orderly).await.is_err() {
        tracing::warn!("something did not stop within {:?}; left as it is", config.grace);
    }
    Ok(())
}

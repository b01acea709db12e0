//! The Fresco daemon: page, job queue and native engine behind one port.
//!
//! [`run`] is the whole server. It takes its listener and its end as arguments, so that a test
//! binds port 0 and stops it at will.

mod app;
pub mod cli;
mod clock;
pub mod config;
mod crash;
pub mod data;
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
use data::Database;
use engine::{Engine, fake, local};
use futures_util::future::join_all;
use images::Images;
use models::{Catalogue, library::Library, pulls::Pulls};
use queue::{Queue, SqliteStore, worker};
use std::{fs::File, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Serves on `listener` with the native engine until `shutdown` ends.
///
/// # Errors
/// When the engine's thread cannot be started or the listener fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let catalogue = Catalogue::new(&config.home, config.models.clone());
    let catalogue = Arc::new(catalogue.searching(&config.home, config::model_path()));
    let engine = Arc::new(local::start_with(catalogue.clone(), config.device, config.memory.clone())?);
    serve(config, catalogue, engine, listener, shutdown).await
}

/// The same with an engine that paints plain colours, each step taking `step`: for tests of the queue.
///
/// # Errors
/// As [`run`].
#[doc(hidden)]
pub async fn run_fake(
    config: Config,
    step: Duration,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let catalogue = Arc::new(Catalogue::new(&config.home, config.models.clone()));
    let engine = Arc::new(fake::start(step)?);
    serve(config, catalogue, engine, listener, shutdown).await
}

/// The same with any engine.
///
/// Once `shutdown` ends, no connection is accepted, the running jobs are stopped at their next step and given back
/// to the queue, event streams end, and the call returns within [`Config::grace`].
///
/// # Errors
/// When the data folder or a setting cannot be used, or the listener fails.
pub async fn serve(
    config: Config,
    catalogue: Arc<Catalogue>,
    engine: Arc<dyn Engine>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let stopping = CancellationToken::new();
    let data = Database::open(&config.home).await.map_err(io::Error::other)?;
    let images = Images::open(&config.home, config.storage.as_ref(), data.reader().clone(), data.writer().clone());
    let images = images.map_err(io::Error::other)?;
    let (queue, _alone) = open_queue(&config, &data, &images, catalogue.clone()).await?;
    let mut workers: Vec<JoinHandle<()>> = (0..config.queue.concurrent.max(1))
        .map(|_| worker::work(queue.clone(), engine.clone(), config.queue.timeout, stopping.clone()))
        .map(tokio::spawn)
        .collect();
    workers.push(tokio::spawn(worker::sweep(queue.clone(), stopping.clone())));
    workers.push(tokio::spawn(images.clone().work(config.retention, stopping.clone())));
    let hosts = http::Hosts::new(&config.hosts, listener.local_addr()?.ip());
    let library = Library::new(&config.home, config::model_path());
    let pulls = Pulls::new(library, config.hub, stopping.clone());
    let tab_hub = http::TabHub::new(&config.tab_hub).map_err(io::Error::other)?;
    let counts = Arc::default();
    let app = App { queue, engine, images, counts, catalogue, pulls, tab_hub, stopping: stopping.clone() };
    let limits = http::Limits::new(config.rate);
    let service = http::router(app, hosts, limits).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        ended = &mut server => return ended.unwrap_or_else(|error| Err(io::Error::other(error))),
        () = shutdown => stopping.cancel(),
    }
    tracing::info!("stopping");
    let orderly = async {
        _ = tokio::join!(server, join_all(workers));
        data.close().await;
    };
    if tokio::time::timeout(config.grace, orderly).await.is_err() {
        tracing::warn!("something did not stop within {:?}; left as it is", config.grace);
    }
    Ok(())
}

/// The queue as the last run left it. Jobs that ran then wait again, if nobody else may be running them.
async fn open_queue(
    config: &Config,
    data: &Database,
    images: &Images,
    catalogue: Arc<Catalogue>,
) -> io::Result<(Queue, Option<File>)> {
    let store = SqliteStore::new(data.clone(), config.queue);
    let queue = Queue::new(Arc::new(store), images.blobs().clone(), catalogue);
    let alone = data::alone(&config.home)?;
    match alone {
        Some(_) => images.sweep().map_err(io::Error::other)?,
        None => tracing::warn!("another daemon uses {}; the two share its queue", config.home.display()),
    }
    queue.sweep(alone.is_some()).await.map_err(io::Error::other)?;
    Ok((queue, alone))
}

//! `fresco serve`.

use super::{Problem, browser, images::storage, memory::Memory, say};
use crate::{
    config::{Config, QueueLimits, Rate},
    engine::DeviceChoice,
    images::Retention,
};
use clap::Args;
use fresco_api::{Health, routes};
use std::{future::Future, io, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};
use tokio::net::TcpListener;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Serve the page and the job interface.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The port.
    #[arg(long, env = "PORT", default_value_t = 7860)]
    port: u16,
    /// The address to listen on. Anybody who reaches it can use this machine.
    #[arg(long, env = "FRESCO_HOST", default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: String,
    /// Another name by which browsers may address this server.
    #[arg(long, env = "FRESCO_ALLOWED_HOSTS", value_delimiter = ',', value_name = "NAME")]
    allow_host: Vec<String>,
    /// What runs models: auto, cpu, vulkan, cuda or metal.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    #[command(flatten)]
    memory: Memory,
    /// A model folder, or a single file, to offer besides those in the home folder.
    #[arg(long = "model", value_name = "PATH")]
    models: Vec<PathBuf>,
    /// Jobs that may wait.
    #[arg(long, env = "MAX_QUEUE_SIZE", default_value_t = QueueLimits::default().waiting, value_name = "JOBS")]
    max_queue_size: usize,
    /// Jobs that run at a time.
    #[arg(long, env = "MAX_CONCURRENT_JOBS", default_value_t = 1, value_name = "JOBS",
          value_parser = clap::value_parser!(u16).range(1..=64))]
    max_concurrent_jobs: u16,
    /// Seconds that a job may take; 0 is as long as it wants.
    #[arg(long, env = "JOB_TIMEOUT", default_value_t = 0, value_name = "SECONDS")]
    job_timeout: u64,
    /// Paints plain colours, each step taking so many milliseconds: for tests of the queue.
    #[arg(long, env = "FRESCO_TEST_FAKE_ENGINE", value_name = "MS", hide = true)]
    fake_engine: Option<u64>,
    /// Lets tabs fetch models from a hub by themselves: its origin, and those that it points to.
    #[arg(long, env = "FRESCO_TAB_HUB", value_delimiter = ',', value_name = "ORIGIN")]
    tab_hub: Vec<String>,
    /// Where pictures' files are kept besides this machine: s3://bucket/prefix, with the usual AWS_ variables.
    #[arg(long, env = "FRESCO_STORAGE", value_name = "URL")]
    storage: Option<String>,
    /// Days that a picture is kept, favourites longer; 0 is for ever.
    #[arg(long, env = "FRESCO_KEEP_DAYS", default_value_t = 0, value_name = "DAYS")]
    keep_days: u32,
    /// GiB that all pictures' files may have, the oldest go first; 0 is any number.
    #[arg(long, env = "FRESCO_KEEP_GIB", default_value_t = 0, value_name = "GIB")]
    keep_gib: u32,
    /// Requests a second that one client may send, but for those on this machine; 0 is any number.
    #[arg(long, env = "FRESCO_RATE_LIMIT", default_value_t = 50, value_name = "N")]
    rate_limit: u32,
    /// Open no browser.
    #[arg(long)]
    no_open: bool,
}

impl Serve {
    pub(super) async fn run(self, home: PathBuf) -> Result<(), Problem> {
        let storage = storage(self.storage.as_deref())?;
        let listener = match self.bind().await {
            Ok(listener) => listener,
            // A second `make run` is no mistake.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.is_fresco().await => {
                say(format_args!("Fresco is already running at {}", self.local_url()));
                return Ok(());
            }
            Err(error) => return Err(self.cannot_listen(&error)),
        };
        let address = listener.local_addr().map_err(|error| Problem::failed(error.to_string()))?;
        let url = url(address);
        say(format_args!("Fresco is at {url}"));
        if !address.ip().is_loopback() {
            tracing::warn!("there are no accounts: whoever reaches {} can use this machine", address.ip());
        }
        if !self.no_open {
            browser::open(&url);
        }
        let queue = QueueLimits {
            waiting: self.max_queue_size,
            concurrent: self.max_concurrent_jobs.into(),
            timeout: (self.job_timeout > 0).then(|| Duration::from_secs(self.job_timeout)),
            ..QueueLimits::default()
        };
        let config = Config {
            models: self.models,
            device: self.device,
            memory: self.memory.options(),
            tab_hub: self.tab_hub,
            hosts: self.allow_host.into_iter().chain([self.host]).collect(),
            queue,
            storage,
            retention: Retention {
                age: (self.keep_days > 0).then(|| DAY * self.keep_days),
                bytes: (self.keep_gib > 0).then(|| u64::from(self.keep_gib) << 30),
            },
            rate: NonZeroU32::new(self.rate_limit).map(|per_second| Rate { per_second, loopback: false }),
            ..Config::new(home)
        };
        let stop = signal().map_err(|error| Problem::failed(format!("signals cannot be heard: {error}")))?;
        let served = match self.fake_engine {
            None => crate::run(config, listener, stop).await,
            Some(step) => crate::run_fake(config, Duration::from_millis(step), listener, stop).await,
        };
        served.map_err(|error| Problem::failed(error.to_string()))
    }

    async fn bind(&self) -> io::Result<TcpListener> {
        TcpListener::bind((self.host.trim_matches(['[', ']']), self.port)).await
    }

    fn cannot_listen(&self, error: &io::Error) -> Problem {
        let (host, port) = (self.host.as_str(), self.port);
        Problem::failed(match error.kind() {
            io::ErrorKind::AddrInUse => format!("port {port} on {host} is in use; choose another with --port"),
            io::ErrorKind::PermissionDenied => format!("port {port} may not be used; choose another with --port"),
            _ => format!("cannot listen on {host}, port {port}: {error}"),
        })
    }

    fn local_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether the program on this port answers as a daemon of ours does.
    async fn is_fresco(&self) -> bool {
        let Ok(client) = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build() else {
            return false;
        };
        let Ok(answer) = client.get(format!("{}{}", self.local_url(), routes::HEALTH)).send().await else {
            return false;
        };
        answer.json::<Health>().await.is_ok_and(|health| health.status == "ok")
    }
}

/// Where a browser on this machine finds the server.
fn url(address: SocketAddr) -> String {
    let port = address.port();
    match address {
        _ if address.ip().is_unspecified() => format!("http://127.0.0.1:{port}"),
        SocketAddr::V4(v4) => format!("http://{}:{port}", v4.ip()),
        SocketAddr::V6(v6) => format!("http://[{}]:{port}", v6.ip()),
    }
}

/// The first wish to stop: Ctrl-C or a polite kill. A second one ends the program at once.
fn signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new()?;
    Ok(async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(130);
        });
    })
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        tokio::select! { _ = self.0.recv() => {} _ = self.1.recv() => {} }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

//! A daemon for one test: the real server on a port of its own, with the fake engine.

use fresco_api::{ApiError, Job, JobId, JobStatus, routes};
use fresco_daemon::{
    config::Config,
    engine::{Engine, fake},
    models::Catalogue,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// No single thing that a test waits for takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that runs until it is dropped or stopped.
pub struct Daemon {
    pub base: String,
    pub client: Client,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<io::Result<()>>,
}

impl Daemon {
    /// A daemon whose engine takes a millisecond a step.
    pub async fn start() -> Self {
        Self::with_step(Duration::from_millis(1)).await
    }

    /// A daemon whose engine takes `step` a step.
    pub async fn with_step(step: Duration) -> Self {
        Self::with(config(), Arc::new(fake::start(step).expect("a thread"))).await
    }

    /// A daemon with these settings and this engine.
    pub async fn with(config: Config, engine: Arc<dyn Engine>) -> Self {
        let catalogue = Arc::new(Catalogue::new(&config.home, Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        // The client needs it before it is built.
        fresco_daemon::tls::install();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { _ = stopped.await };
        let ended = tokio::spawn(fresco_daemon::serve(config, catalogue, engine, listener, shutdown));
        Self { base, client: Client::new(), stop: Some(stop), ended }
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(self) {
        let Self { stop, ended, .. } = self;
        _ = stop.expect("stopped once").send(());
        let ended = tokio::time::timeout(PATIENCE, ended).await.expect("stops in time");
        ended.expect("does not panic").expect("serves to the end");
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).timeout(PATIENCE)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.expect("answers")
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.ask(Method::POST, path).json(body).send().await.expect("answers")
    }

    /// Submits a request that is accepted.
    pub async fn submit(&self, body: Value) -> Job {
        let answer = self.post(routes::TEXT2IMG, &body).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        answer.json().await.expect("a job")
    }

    /// A job of `steps` steps that was never asked for before.
    pub async fn submit_steps(&self, steps: u32) -> Job {
        static SEED: AtomicU32 = AtomicU32::new(1);
        let seed = SEED.fetch_add(1, Ordering::Relaxed);
        self.submit(json!({"prompt": "a red tent", "steps": steps, "seed": seed})).await
    }

    pub async fn job(&self, id: &JobId) -> Job {
        self.get(&routes::job(id)).await.json().await.expect("a job")
    }

    pub async fn cancel(&self, id: &JobId) -> Response {
        self.post(&routes::job_cancel(id), &json!({})).await
    }

    /// Waits until a job is as wanted.
    pub async fn wait(&self, id: &JobId, wanted: impl Fn(&Job) -> bool) -> Job {
        let start = Instant::now();
        loop {
            let job = self.job(id).await;
            if wanted(&job) {
                return job;
            }
            assert!(start.elapsed() < PATIENCE, "still {:?} at {}", job.status, job.progress);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn wait_for(&self, id: &JobId, status: JobStatus) -> Job {
        self.wait(id, |job| job.status == status).await
    }

    /// The jobs that a daemon knows, the newest first.
    pub async fn jobs(&self, query: &str) -> Vec<Job> {
        self.get(&format!("{}?{query}", routes::JOBS)).await.json().await.expect("a list")
    }

    /// Proves that the daemon still makes pictures.
    pub async fn still_serves(&self) {
        let job = self.submit_steps(2).await;
        self.wait_for(&job.id, JobStatus::Completed).await;
    }
}

/// Settings with an empty home of their own.
pub fn config() -> Config {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let homes = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("homes");
    if number == 0 {
        sweep(&homes);
    }
    Config::new(homes.join(format!("{}-{number}", std::process::id())))
}

/// Removes what earlier runs have left.
fn sweep(homes: &Path) {
    let age = |path: &Path| path.metadata().and_then(|it| it.modified()).ok()?.elapsed().ok();
    for old in fs::read_dir(homes).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if age(&old).is_some_and(|age| age > Duration::from_secs(1_800)) {
            _ = fs::remove_dir_all(old);
        }
    }
}

/// An answer that is an error.
pub async fn refused(answer: Response, status: StatusCode) -> ApiError {
    assert_eq!(answer.status(), status);
    answer.json().await.expect("an error as JSON")
}

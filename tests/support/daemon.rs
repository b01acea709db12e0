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
    io,
    path::PathBuf,
    sync::Arc,
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
    pub async fn stop(mut self) {
        _ = self.stop.take().expect("stopped once").send(());
        let ended = tokio::time::timeout(PATIENCE, self.ended).await.expect("stops in time");
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

    /// A job of `steps` steps.
    pub async fn submit_steps(&self, steps: u32) -> Job {
        self.submit(json!({"prompt": "a red tent", "steps": steps, "seed": 7})).await
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

    /// Proves that the daemon still makes pictures.
    pub async fn still_serves(&self) {
        let job = self.submit_steps(2).await;
        self.wait_for(&job.id, JobStatus::Completed).await;
    }
}

/// Settings with an empty home.
pub fn config() -> Config {
    Config::new(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("no-such-home"))
}

/// An answer that is an error.
pub async fn refused(answer: Response, status: StatusCode) -> ApiError {
    assert_eq!(answer.status(), status);
    answer.json().await.expect("an error as JSON")
}

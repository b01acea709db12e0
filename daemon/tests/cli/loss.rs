//! Nothing that was accepted is lost: the real program with a slow engine, killed at random moments and at every seam.

use super::{folder, fresco};
use fresco_api::{Job, JobStatus, QueueStatus, routes};
use fresco_daemon::{
    data::Database,
    images::{BlobHash, Blobs},
    queue::store::MAX_ATTEMPTS,
};
use reqwest::{Client, Response, StatusCode};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// No single thing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// A daemon on a port of its own that is killed and started again.
pub(super) struct Victim {
    home: PathBuf,
    port: u16,
    pub(super) child: Option<Child>,
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Victim {
    pub(super) fn new(name: &str) -> Self {
        // Free now, and used by nobody else for a while.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        Self { home: folder(name), port, child: None }
    }

    /// Starts it; with a name it dies at that seam.
    pub(super) fn start(&mut self, seam: Option<&str>) {
        let mut command = fresco(&["serve", "--no-open", "--port", &self.port.to_string()]);
        command.env("FRESCO_HOME", &self.home).env("FRESCO_TEST_FAKE_ENGINE", "3").env("MAX_QUEUE_SIZE", "100000");
        if let Some(seam) = seam {
            command.env("FRESCO_TEST_CRASH_AT", seam);
        }
        let log = fs::File::options().create(true).append(true).open(self.home.join("log")).expect("a log");
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().expect("the program starts"));
    }

    /// As the system kills: at once, without a word.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }

    /// Waits until it has died by itself.
    async fn died(&mut self) {
        let start = Instant::now();
        let child = self.child.as_mut().expect("it was started");
        while child.try_wait().expect("a child").is_none() {
            assert!(start.elapsed() < PATIENCE, "it did not come to the seam");
            sleep(Duration::from_millis(10)).await;
        }
        self.child = None;
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Asks until somebody answers.
pub(super) async fn persist(ask: impl Fn() -> reqwest::RequestBuilder) -> Response {
    let start = Instant::now();
    loop {
        match ask().timeout(Duration::from_secs(10)).send().await {
            Ok(answer) => return answer,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Submits a job under a key until it is accepted; its name.
async fn submit(client: &Client, url: &str, key: &str) -> String {
    let body = json!({"prompt": format!("a tent, {key}"), "steps": 2, "seed": 7, "width": 64, "height": 64});
    let start = Instant::now();
    loop {
        let answer = persist(|| client.post(url).header("idempotency-key", key).json(&body)).await;
        assert!(matches!(answer.status(), StatusCode::ACCEPTED | StatusCode::OK), "{}", answer.status());
        // The answer may break off; then the same is asked again.
        match answer.json::<Job>().await {
            Ok(job) => return job.id.0,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
    }
}

/// Waits until nothing waits or runs any more.
async fn idle(victim: &Victim, client: &Client) {
    let start = Instant::now();
    loop {
        let answer = persist(|| client.get(victim.url(routes::QUEUE_STATUS))).await;
        let status: QueueStatus = answer.json().await.expect("numbers");
        if status.queued_jobs + status.processing_jobs == 0 {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{status:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Looks at what is left behind: each accepted job is final and has its one picture, whole; nothing lies about.
async fn inspect(home: &Path, accepted: &BTreeSet<String>) {
    let stray: Vec<PathBuf> = files(&home.join("blobs")).into_iter().filter(|path| is_stray(path)).collect();
    assert!(stray.is_empty(), "{stray:?}");
    let data = Database::open(home).await.expect("a database");
    let check: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(data.reader()).await.expect("a check");
    assert_eq!(check, "ok");
    let sql = "SELECT id, status, attempts, (SELECT count(*) FROM job_outputs WHERE job = jobs.id), \
               (SELECT count(*) FROM images WHERE job_id = jobs.id) FROM jobs";
    let jobs: Vec<(String, String, u32, i64, i64)> = sqlx::query_as(sql).fetch_all(data.reader()).await.expect("jobs");
    assert_eq!(&jobs.iter().map(|job| job.0.clone()).collect::<BTreeSet<_>>(), accepted, "all of them, and no other");
    for (id, status, attempts, pictures, history) in jobs {
        assert_eq!(pictures, history, "{id}: what it made is in the history, once");
        assert!(attempts <= MAX_ATTEMPTS, "{id}: {attempts} attempts");
        match status.as_str() {
            "completed" => assert_eq!(pictures, 1, "{id}"),
            // Its worker was killed each time it had it.
            "dead" => assert_eq!((attempts, pictures), (MAX_ATTEMPTS, 0), "{id}"),
            other => panic!("{id} is {other}"),
        }
    }
    let hashes: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT hash FROM job_outputs").fetch_all(data.reader()).await.expect("hashes");
    let blobs = Blobs::open(&home.join("blobs")).expect("the blobs");
    for hash in hashes {
        let hash: BlobHash = hash.parse().expect("a hash");
        assert_eq!(BlobHash::of(&blobs.get(&hash).await.expect("the picture")), hash);
    }
    data.close().await;
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let read = |folder: &Path| -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
        }
        Ok(found)
    };
    read(folder).unwrap_or_default()
}

/// A file that is no blob.
fn is_stray(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.parse::<BlobHash>().is_err())
}

/// Chance from a seed, so that a failure can be told again.
fn chance(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_random_moments_lose_nothing() {
    let (rounds, jobs) = if std::env::var_os("FRESCO_LONG_TESTS").is_some() { (20, 200) } else { (4, 60) };
    let mut state = std::env::var("FRESCO_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_120);
    println!("FRESCO_TEST_SEED={state}");
    fresco_daemon::tls::install();
    let mut victim = Victim::new("loss-random");
    let client = Arc::new(Client::new());
    let mut accepted = BTreeSet::new();
    for round in 0..rounds {
        victim.start(None);
        let url = victim.url(routes::TEXT2IMG);
        let mut submitting = tokio::task::JoinSet::new();
        for hand in 0..3 {
            let (client, url) = (client.clone(), url.clone());
            submitting.spawn(async move {
                let mut ids = Vec::new();
                for number in 0..jobs / 3 {
                    ids.push(submit(&client, &url, &format!("{round}-{hand}-{number}")).await);
                }
                ids
            });
        }
        // Killed twice while jobs come in and run, and started again at once.
        for _ in 0..2 {
            persist(|| client.get(victim.url(routes::HEALTH))).await;
            sleep(Duration::from_millis(chance(&mut state, 400))).await;
            victim.kill();
            victim.start(None);
        }
        accepted.extend(submitting.join_all().await.into_iter().flatten());
        assert_eq!(accepted.len(), (round + 1) * (jobs / 3) * 3, "each key is one job");
        victim.kill();
    }
    victim.start(None);
    idle(&victim, &client).await;
    for id in &accepted {
        let path = routes::JOB.replace("{id}", id);
        let job: Job = persist(|| client.get(victim.url(&path))).await.json().await.expect("a job");
        assert!(job.status.is_final());
        assert_eq!(job.result.map_or(0, |result| result.images.len()), usize::from(job.status == JobStatus::Completed));
    }
    victim.kill();
    inspect(&victim.home, &accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn death_at_every_seam_loses_nothing() {
    fresco_daemon::tls::install();
    for seam in ["after-commit", "mid-blob", "after-blob", "after-finish"] {
        let mut victim = Victim::new(&format!("loss-{seam}"));
        let client = Client::new();
        victim.start(Some(seam));
        persist(|| client.get(victim.url(routes::HEALTH))).await;
        let asked = {
            let (client, url) = (client.clone(), victim.url(routes::TEXT2IMG));
            tokio::spawn(async move { submit(&client, &url, "one").await })
        };
        victim.died().await;
        victim.start(None);
        let accepted = BTreeSet::from([asked.await.expect("is accepted")]);
        idle(&victim, &client).await;
        let id = submit(&client, &victim.url(routes::TEXT2IMG), "one").await;
        assert!(accepted.contains(&id), "{seam}: the key still means the first job");
        let path = routes::JOB.replace("{id}", &id);
        let job: Job = persist(|| client.get(victim.url(&path))).await.json().await.expect("a job");
        assert_eq!(job.status, JobStatus::Completed, "{seam}");
        victim.kill();
        inspect(&victim.home, &accepted).await;
    }
}

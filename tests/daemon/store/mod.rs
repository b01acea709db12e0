//! What every job store must do. The suite runs against each of them, with a clock of its own.

mod lines;
mod property;
mod suite;

use fresco_api::{ImageId, ImageRequest, Img2img, Job, JobId, JobKind, JobResult, Params, Priority, Request, Sampler};
use fresco_daemon::{
    config::QueueLimits,
    data::Database,
    images::BlobHash,
    queue::{
        MemoryStore, SqliteStore,
        store::{Finished, JobStore, Kept, Lease, NewJob, Outcome, Output, Submission, Submitted},
    },
};
use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

pub const TTL: Duration = Duration::from_secs(30);

/// A future that makes an empty store with these limits.
type Made = Pin<Box<dyn Future<Output = Arc<dyn JobStore>>>>;
type Make = fn(QueueLimits) -> Made;

fn memory(limits: QueueLimits) -> Made {
    Box::pin(async move { Arc::new(MemoryStore::new(limits)) as Arc<dyn JobStore> })
}

fn sqlite(limits: QueueLimits) -> Made {
    Box::pin(async move {
        let data = Database::open(&folder()).await.expect("a database");
        Arc::new(SqliteStore::new(data, limits)) as Arc<dyn JobStore>
    })
}

fn unfenced(limits: QueueLimits) -> Made {
    Box::pin(async move {
        let data = Database::open(&folder()).await.expect("a database");
        Arc::new(SqliteStore::new(data, limits).unfenced()) as Arc<dyn JobStore>
    })
}

/// An empty folder of a test's own.
pub fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stores");
    let path = base.join(format!("{}-{number}", std::process::id()));
    _ = std::fs::remove_dir_all(&path);
    path
}

/// The suite. A new store joins by one more call of it.
async fn conforms(make: Make) {
    suite::run(make).await;
    lines::run(make).await;
}

#[tokio::test]
async fn the_memory_store_conforms() {
    conforms(memory).await;
}

#[tokio::test]
async fn the_sqlite_store_conforms() {
    conforms(sqlite).await;
}

#[tokio::test]
async fn without_its_tokens_a_store_does_not_conform() {
    let store = unfenced(limits()).await;
    let fence = tokio::spawn(async move { suite::fence(&*store).await });
    assert!(fence.await.is_err_and(|error| error.is_panic()), "the suite sees that a stale holder is heard");
}

pub fn limits() -> QueueLimits {
    QueueLimits { waiting: 1_000, ..QueueLimits::default() }
}

pub fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + second)
}

pub fn params() -> Params {
    Params {
        prompt: "a tent".to_owned(),
        negative_prompt: String::new(),
        width: 64,
        height: 64,
        steps: 8,
        guidance_scale: 4.0,
        sampler: Sampler::Euler,
        seed: 1,
        model: "m".into(),
        ..Default::default()
    }
}

/// What a job made: one picture of its own.
pub fn made(name: &str) -> Finished {
    let result = JobResult { images: Vec::new(), seed: 1, parameters: params(), time_taken: 10, cached: false };
    let hash = BlobHash::of(name.as_bytes());
    Finished {
        answered: None,
        result,
        outputs: vec![Output { image: ImageId(format!("image-{name}")), hash, bytes: 9, width: 64, height: 64 }],
    }
}

pub fn completed(name: &str) -> Outcome {
    Outcome::Completed(Box::new(made(name)))
}

pub fn new(name: &str) -> NewJob {
    let request = ImageRequest { prompt: "a tent".to_owned(), ..ImageRequest::default() };
    NewJob {
        id: id(name),
        kind: JobKind::Text2img,
        priority: Priority::Normal,
        request: request.into(),
        params: params(),
        inputs: Vec::new(),
        input_bytes: 0,
        label: None,
        after: None,
        made: None,
    }
}

/// A job that starts from another's picture.
pub fn following(name: &str, before: &str) -> NewJob {
    let image = ImageRequest { prompt: "a tent".to_owned(), ..ImageRequest::default() };
    let request = Request { image, mode: Img2img::default() };
    NewJob { kind: JobKind::Img2img, request: request.into(), after: Some(id(before)), ..new(name) }
}

pub async fn put(store: &dyn JobStore, owner: &str, job: NewJob) -> Submitted {
    let submission = Submission { owner: owner.to_owned(), key: None, batch: None, jobs: vec![job] };
    store.submit(submission, at(0)).await.expect("stores")
}

pub async fn submit(store: &dyn JobStore, name: &str) -> Submitted {
    put(store, "me", new(name)).await
}

pub fn id(name: &str) -> JobId {
    JobId(name.to_owned())
}

pub async fn claim(store: &dyn JobStore, second: u64) -> Option<Lease> {
    store.claim(at(second), TTL, None).await.expect("stores")
}

/// The names of the jobs that are claimed one after the other, until there is none.
pub async fn drain(store: &dyn JobStore, second: u64) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(lease) = claim(store, second).await {
        names.push(lease.job.0);
    }
    names
}

pub async fn job(store: &dyn JobStore, name: &str) -> Job {
    store.job(&id(name)).await.expect("stores").expect("a job").job
}

/// No events to keep.
pub fn none() -> Kept {
    Kept::default()
}

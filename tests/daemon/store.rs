//! What every job store must do, whatever it stores in.

use fresco_api::{ApiError, ErrorCode, ImageRequest, Job, JobId, JobKind, JobResult, JobStatus, Params, Sampler};
use fresco_daemon::{
    config::QueueLimits,
    queue::{
        MemoryStore,
        store::{Cancel, Filter, Finish, JobStore, Lease, MAX_ATTEMPTS, NewJob, Outcome, Standing, Submitted},
    },
};
use std::time::{Duration, SystemTime};

const TTL: Duration = Duration::from_secs(30);

/// Makes empty stores whose queue holds two jobs.
type Make = fn() -> Box<dyn JobStore>;

fn memory() -> Box<dyn JobStore> {
    Box::new(MemoryStore::new(QueueLimits { waiting: 2, ..QueueLimits::default() }))
}

/// The suite. A new store joins by one more call of it.
async fn conforms(make: Make) {
    order(&*make()).await;
    full(&*make()).await;
    finish(&*make()).await;
    fence(&*make()).await;
    cancel(&*make()).await;
    give_up(&*make()).await;
    progress(&*make()).await;
}

#[tokio::test]
async fn the_memory_store_conforms() {
    conforms(memory).await;
}

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + second)
}

fn params() -> Params {
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

fn result() -> JobResult {
    JobResult { images: vec!["data:,x".to_owned()], seed: 1, parameters: params(), time_taken: 10 }
}

async fn submit(store: &dyn JobStore, name: &str) -> Submitted {
    let request = ImageRequest { prompt: "a tent".to_owned(), ..ImageRequest::default() };
    let (request, kind) = (request.into(), JobKind::Text2img);
    let job = NewJob { id: id(name), kind, request, params: params(), pictures: None };
    store.submit(job, at(0)).await.expect("stores")
}

fn id(name: &str) -> JobId {
    JobId(name.to_owned())
}

async fn claim(store: &dyn JobStore, second: u64) -> Option<Lease> {
    store.claim(at(second), TTL).await.expect("stores")
}

async fn job(store: &dyn JobStore, name: &str) -> Job {
    store.job(&id(name)).await.expect("stores").expect("a job")
}

async fn order(store: &dyn JobStore) {
    assert_eq!(submit(store, "a").await, Submitted::Accepted { ahead: 0 });
    assert_eq!(submit(store, "b").await, Submitted::Accepted { ahead: 1 });
    assert_eq!(store.waiting().await.expect("stores"), [id("a"), id("b")]);
    let first = claim(store, 1).await.expect("a job");
    assert_eq!((first.job, first.attempt, first.params), (id("a"), 1, params()));
    assert_eq!(submit(store, "c").await, Submitted::Accepted { ahead: 2 });
    assert_eq!(claim(store, 2).await.map(|lease| lease.job), Some(id("b")));
    assert_eq!(claim(store, 3).await.map(|lease| lease.job), Some(id("c")));
    assert!(claim(store, 4).await.is_none(), "no job is given twice");
    let newest = store.newest(Filter { status: None, limit: 2 }).await.expect("stores");
    assert_eq!(newest.iter().map(|job| job.id.0.as_str()).collect::<Vec<_>>(), ["c", "b"]);
}

async fn full(store: &dyn JobStore) {
    submit(store, "a").await;
    submit(store, "b").await;
    assert_eq!(submit(store, "c").await, Submitted::Full { limit: 2 });
    assert!(store.job(&id("c")).await.expect("stores").is_none(), "a refused job leaves nothing behind");
    claim(store, 1).await;
    assert!(matches!(submit(store, "c").await, Submitted::Accepted { .. }), "a running job does not wait");
}

async fn finish(store: &dyn JobStore) {
    submit(store, "a").await;
    submit(store, "b").await;
    let (a, b) = (claim(store, 1).await.expect("a job"), claim(store, 1).await.expect("a job"));
    assert_eq!(store.finish(&a, Outcome::Completed(Box::new(result())), at(3)).await.expect("stores"), Finish::Applied);
    let error = ApiError::new(ErrorCode::Device, "lost");
    assert_eq!(store.finish(&b, Outcome::Failed(error.clone()), at(3)).await.expect("stores"), Finish::Applied);
    let (a, b) = (job(store, "a").await, job(store, "b").await);
    assert_eq!((a.status, a.progress, a.result), (JobStatus::Completed, 100, Some(result())));
    assert_eq!((b.status, b.error, b.result), (JobStatus::Failed, Some(error), None));
    assert!(a.started_at < a.completed_at && a.completed_at.is_some());
    let numbers = store.status().await.expect("stores");
    assert_eq!((numbers.queued_jobs, numbers.processing_jobs), (0, 0));
    assert_eq!((numbers.completed_jobs, numbers.failed_jobs, numbers.average_processing_time), (1, 1, 10.0));
    let listed = store.newest(Filter { status: Some(JobStatus::Completed), limit: 9 }).await.expect("stores");
    assert!(listed.len() == 1 && listed[0].result.as_ref().is_some_and(|result| result.images.is_empty()));
}

/// Whoever let a lease run out has no say any more.
async fn fence(store: &dyn JobStore) {
    submit(store, "a").await;
    let old = claim(store, 0).await.expect("a job");
    assert!(store.sweep(at(29)).await.expect("stores").requeued.is_empty(), "the lease holds");
    assert_eq!(store.extend(&old, 5, at(40)).await.expect("stores"), Standing::Held);
    assert!(store.sweep(at(39)).await.expect("stores").requeued.is_empty(), "the lease was extended");
    assert_eq!(store.sweep(at(41)).await.expect("stores").requeued, [id("a")]);
    assert_eq!(job(store, "a").await.status, JobStatus::Queued);
    let new = claim(store, 42).await.expect("a job");
    assert_eq!(new.attempt, 2);
    assert_ne!(new.token, old.token);
    assert_eq!(store.extend(&old, 50, at(99)).await.expect("stores"), Standing::Stale);
    assert_eq!(
        store.finish(&old, Outcome::Completed(Box::new(result())), at(43)).await.expect("stores"),
        Finish::Stale
    );
    assert_eq!(job(store, "a").await.status, JobStatus::Processing);
    assert_eq!(
        store.finish(&new, Outcome::Completed(Box::new(result())), at(44)).await.expect("stores"),
        Finish::Applied
    );
    assert_eq!(store.finish(&new, Outcome::Cancelled, at(45)).await.expect("stores"), Finish::Stale, "once is enough");
    assert_eq!(job(store, "a").await.status, JobStatus::Completed);
    assert_eq!(store.status().await.expect("stores").completed_jobs, 1);
}

async fn cancel(store: &dyn JobStore) {
    assert_eq!(store.cancel(&id("none"), at(0)).await.expect("stores"), Cancel::Unknown);
    submit(store, "a").await;
    submit(store, "b").await;
    assert_eq!(store.cancel(&id("a"), at(1)).await.expect("stores"), Cancel::Cancelled);
    assert_eq!(store.cancel(&id("a"), at(1)).await.expect("stores"), Cancel::Already(JobStatus::Cancelled));
    let lease = claim(store, 1).await.expect("a job");
    assert_eq!(lease.job, id("b"), "a cancelled job is not given out");
    assert_eq!(store.cancel(&id("b"), at(2)).await.expect("stores"), Cancel::Requested);
    assert_eq!(store.extend(&lease, 20, at(60)).await.expect("stores"), Standing::CancelAsked);
    assert_eq!(store.finish(&lease, Outcome::Cancelled, at(3)).await.expect("stores"), Finish::Applied);
    assert_eq!(job(store, "b").await.status, JobStatus::Cancelled);
    // A job that was to be stopped is not tried again when its worker is gone.
    submit(store, "c").await;
    claim(store, 4).await.expect("a job");
    store.cancel(&id("c"), at(5)).await.expect("stores");
    assert_eq!(store.sweep(at(99)).await.expect("stores").ended, [id("c")]);
    assert_eq!(job(store, "c").await.status, JobStatus::Cancelled);
}

async fn give_up(store: &dyn JobStore) {
    submit(store, "a").await;
    for attempt in 1..=MAX_ATTEMPTS {
        let second = u64::from(attempt) * 100;
        assert_eq!(claim(store, second).await.map(|lease| lease.attempt), Some(attempt));
        let swept = store.sweep(at(second + 31)).await.expect("stores");
        assert_eq!(swept.ended.is_empty(), attempt < MAX_ATTEMPTS);
    }
    let dead = job(store, "a").await;
    assert_eq!(dead.status, JobStatus::Failed);
    assert!(dead.error.is_some());
    assert!(claim(store, 1_000).await.is_none());
}

async fn progress(store: &dyn JobStore) {
    submit(store, "a").await;
    let lease = claim(store, 1).await.expect("a job");
    for (said, shown) in [(30, 30), (20, 30), (100, 99)] {
        store.extend(&lease, said, at(40)).await.expect("stores");
        assert_eq!(job(store, "a").await.progress, shown, "it never goes back, and 100 is for the end");
    }
}

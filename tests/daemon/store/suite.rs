//! A job's life in a store: in, out, kept, ended, taken back.

use super::{Make, TTL, at, claim, completed, following, id, job, limits, made, new, none, params, put, submit};
use fresco_api::{ApiError, BatchId, ErrorCode, JobEvent, JobStatus};
use fresco_daemon::{
    config::QueueLimits,
    images::BlobHash,
    queue::store::{
        Cancel, Changed, Filter, Finish, JobStore, Kept, Key, MAX_ATTEMPTS, NewJob, Outcome, Place, Standing,
        Submission, Submitted,
    },
};

pub async fn run(make: Make) {
    order(&*make(limits()).await).await;
    full(&*make(QueueLimits { waiting: 2, picture_bytes: 100, ..limits() }).await).await;
    finish(&*make(limits()).await).await;
    fence(&*make(limits()).await).await;
    cancel(&*make(limits()).await).await;
    give_up(&*make(limits()).await).await;
    progress(&*make(limits()).await).await;
    release(&*make(limits()).await).await;
    keys(&*make(limits()).await).await;
    known(&*make(limits()).await).await;
    chain(&*make(limits()).await).await;
    history(&*make(QueueLimits { history_jobs: 2, ..limits() }).await).await;
    search(&*make(limits()).await).await;
}

async fn order(store: &dyn JobStore) {
    assert_eq!(submit(store, "a").await, Submitted::Accepted { ahead: 0 });
    assert_eq!(submit(store, "b").await, Submitted::Accepted { ahead: 1 });
    assert_eq!(store.line(9, at(0)).await.expect("stores"), [id("a"), id("b")]);
    let first = claim(store, 1).await.expect("a job");
    assert_eq!((first.job, first.attempt, first.params), (id("a"), 1, params()));
    assert_eq!(submit(store, "c").await, Submitted::Accepted { ahead: 2 });
    assert_eq!(claim(store, 2).await.map(|lease| lease.job), Some(id("b")));
    assert_eq!(claim(store, 3).await.map(|lease| lease.job), Some(id("c")));
    assert!(claim(store, 4).await.is_none(), "no job is given twice");
    let newest = store.newest(Filter { limit: 2, ..Filter::default() }).await.expect("stores");
    assert_eq!(newest.iter().map(|job| job.id.0.as_str()).collect::<Vec<_>>(), ["c", "b"]);
}

async fn full(store: &dyn JobStore) {
    submit(store, "a").await;
    submit(store, "b").await;
    assert_eq!(submit(store, "c").await, Submitted::Full { limit: 2 });
    assert!(store.job(&id("c")).await.expect("stores").is_none(), "a refused job leaves nothing behind");
    claim(store, 1).await;
    assert!(matches!(submit(store, "c").await, Submitted::Accepted { .. }), "a running job does not wait");
    claim(store, 2).await;
    let with = |name, bytes| NewJob { inputs: vec![BlobHash::of(b"x")], input_bytes: bytes, ..new(name) };
    assert!(matches!(put(store, "me", with("d", 60)).await, Submitted::Accepted { .. }));
    claim(store, 3).await;
    let lease = claim(store, 4).await.expect("a job");
    assert_eq!((lease.job.clone(), lease.inputs.as_slice()), (id("d"), &[BlobHash::of(b"x")][..]));
    assert_eq!(put(store, "me", with("e", 60)).await, Submitted::NoRoom { limit: 100 }, "it runs, and needs them");
    store.finish(&lease, Outcome::Cancelled, at(5), none()).await.expect("stores");
    assert!(matches!(put(store, "me", with("e", 60)).await, Submitted::Accepted { .. }));
}

async fn finish(store: &dyn JobStore) {
    submit(store, "a").await;
    submit(store, "b").await;
    let (a, b) = (claim(store, 1).await.expect("a job"), claim(store, 1).await.expect("a job"));
    let kept = Kept { events: vec![(1, JobEvent::Queued { ahead: 0 })], last: Some(7) };
    let applied = Finish::Applied(Default::default());
    assert_eq!(store.finish(&a, completed("a"), at(3), kept.clone()).await.expect("stores"), applied);
    let error = ApiError::new(ErrorCode::Device, "lost");
    assert_eq!(store.finish(&b, Outcome::Failed(error.clone()), at(3), none()).await.expect("stores"), applied);
    let stored = store.job(&id("a")).await.expect("stores").expect("a job");
    assert_eq!((&stored.outputs, &stored.kept, stored.owner.as_str()), (&made("a").outputs, &kept, "me"));
    let (a, b) = (stored.job, job(store, "b").await);
    assert_eq!((a.status, a.progress, a.result), (JobStatus::Completed, 100, Some(made("a").result)));
    assert_eq!((b.status, b.error, b.result), (JobStatus::Failed, Some(error), None));
    assert!(a.started_at < a.completed_at && a.completed_at.is_some());
    let numbers = store.status().await.expect("stores");
    assert_eq!((numbers.queued_jobs, numbers.processing_jobs), (0, 0));
    assert_eq!((numbers.completed_jobs, numbers.failed_jobs, numbers.average_processing_time), (1, 1, 10.0));
    let filter = Filter { status: Some(JobStatus::Completed), limit: 9, ..Filter::default() };
    let listed = store.newest(filter).await.expect("stores");
    assert!(listed.len() == 1 && listed[0].result.as_ref().is_some_and(|result| result.images.is_empty()));
}

/// Whoever let a lease run out has no say any more.
pub async fn fence(store: &dyn JobStore) {
    submit(store, "a").await;
    let old = claim(store, 0).await.expect("a job");
    assert!(store.sweep(at(29), false).await.expect("stores").requeued.is_empty(), "the lease holds");
    assert_eq!(store.extend(&old, 5, at(40), none()).await.expect("stores"), Standing::Held);
    assert!(store.sweep(at(39), false).await.expect("stores").requeued.is_empty(), "the lease was extended");
    assert_eq!(store.sweep(at(41), false).await.expect("stores").requeued, [id("a")]);
    assert_eq!(job(store, "a").await.status, JobStatus::Queued);
    let new = claim(store, 42).await.expect("a job");
    assert_eq!(new.attempt, 2);
    assert_ne!(new.token, old.token);
    assert_eq!(store.extend(&old, 50, at(99), none()).await.expect("stores"), Standing::Stale);
    assert_eq!(store.finish(&old, completed("old"), at(43), none()).await.expect("stores"), Finish::Stale);
    assert_eq!(store.release(&old, at(43), none()).await.expect("stores"), Finish::Stale);
    assert_eq!(job(store, "a").await.status, JobStatus::Processing);
    let applied = Finish::Applied(Default::default());
    assert_eq!(store.finish(&new, completed("new"), at(44), none()).await.expect("stores"), applied);
    let again = store.finish(&new, Outcome::Cancelled, at(45), none()).await.expect("stores");
    assert_eq!(again, Finish::Stale, "once is enough");
    let stored = store.job(&id("a")).await.expect("stores").expect("a job");
    assert_eq!((stored.job.status, stored.outputs), (JobStatus::Completed, made("new").outputs));
    assert_eq!(store.status().await.expect("stores").completed_jobs, 1);
}

async fn cancel(store: &dyn JobStore) {
    let ask = async |name: &str| store.cancel(&id(name), at(1), none()).await.expect("stores");
    assert_eq!(ask("none").await, Cancel::Unknown);
    submit(store, "a").await;
    submit(store, "b").await;
    assert_eq!(ask("a").await, Cancel::Cancelled(vec![id("a")]));
    assert_eq!(ask("a").await, Cancel::Already(JobStatus::Cancelled));
    let lease = claim(store, 1).await.expect("a job");
    assert_eq!(lease.job, id("b"), "a cancelled job is not given out");
    assert_eq!(ask("b").await, Cancel::Requested);
    assert_eq!(store.extend(&lease, 20, at(60), none()).await.expect("stores"), Standing::CancelAsked);
    let ended = store.finish(&lease, Outcome::Cancelled, at(3), none()).await.expect("stores");
    assert_eq!(ended, Finish::Applied(Default::default()));
    assert_eq!(job(store, "b").await.status, JobStatus::Cancelled);
    // A job that was to be stopped is not tried again when its worker is gone.
    submit(store, "c").await;
    claim(store, 4).await.expect("a job");
    ask("c").await;
    assert_eq!(store.sweep(at(99), false).await.expect("stores").ended, [id("c")]);
    assert_eq!(job(store, "c").await.status, JobStatus::Cancelled);
}

/// A job that takes its worker with it is given up, and can be sent round again.
async fn give_up(store: &dyn JobStore) {
    submit(store, "a").await;
    for attempt in 1..=MAX_ATTEMPTS {
        let second = u64::from(attempt) * 100;
        assert_eq!(claim(store, second).await.map(|lease| lease.attempt), Some(attempt));
        let swept = store.sweep(at(second), true).await.expect("stores");
        assert_eq!(swept.ended.is_empty(), attempt < MAX_ATTEMPTS);
    }
    let dead = job(store, "a").await;
    assert_eq!((dead.status, dead.dead), (JobStatus::Failed, true));
    assert_eq!(dead.error.map(|error| error.code), Some(ErrorCode::GaveUp));
    assert!(claim(store, 1_000).await.is_none());
    submit(store, "b").await;
    let listed = store.newest(Filter { dead: true, limit: 9, ..Filter::default() }).await.expect("stores");
    assert_eq!(listed.into_iter().map(|job| job.id).collect::<Vec<_>>(), [id("a")]);
    assert_eq!(store.retry(&id("b"), at(1)).await.expect("stores"), Changed::Not(JobStatus::Queued));
    assert_eq!(store.retry(&id("x"), at(1)).await.expect("stores"), Changed::Unknown);
    assert_eq!(store.retry(&id("a"), at(1)).await.expect("stores"), Changed::Done);
    let again = job(store, "a").await;
    assert_eq!((again.status, again.dead, again.attempts, again.error), (JobStatus::Queued, false, 0, None));
    assert_eq!(claim(store, 2_000).await.map(|lease| lease.job), Some(id("b")), "behind those that wait");
    assert_eq!(claim(store, 2_000).await.map(|lease| (lease.job, lease.attempt)), Some((id("a"), 1)));
}

async fn progress(store: &dyn JobStore) {
    submit(store, "a").await;
    let lease = claim(store, 1).await.expect("a job");
    for (said, shown) in [(30, 30), (20, 30), (100, 99)] {
        let kept = Kept { events: vec![(said.into(), JobEvent::Step { step: 1, of: 2 })], last: None };
        store.extend(&lease, said, at(40), kept.clone()).await.expect("stores");
        let stored = store.job(&id("a")).await.expect("stores").expect("a job");
        assert_eq!(stored.job.progress, shown, "it never goes back, and 100 is for the end");
        assert_eq!(stored.kept, kept);
    }
}

/// A server that stops gives its job back untried.
async fn release(store: &dyn JobStore) {
    submit(store, "a").await;
    submit(store, "b").await;
    let lease = claim(store, 1).await.expect("a job");
    assert_eq!(store.release(&lease, at(2), none()).await.expect("stores"), Finish::Applied(Default::default()));
    let waits = job(store, "a").await;
    assert_eq!((waits.status, waits.attempts, waits.started_at), (JobStatus::Queued, 0, None));
    let again = claim(store, 3).await.expect("a job");
    assert_eq!((again.job.clone(), again.attempt), (id("a"), 1), "at its old place");
    store.cancel(&id("a"), at(4), none()).await.expect("stores");
    assert_eq!(store.release(&again, at(5), none()).await.expect("stores"), Finish::Applied(Default::default()));
    assert_eq!(job(store, "a").await.status, JobStatus::Cancelled, "it was to be stopped");
}

async fn keys(store: &dyn JobStore) {
    let ask = async |owner: &str, name: &str, body: &str| {
        let key = Some(Key { name: "k".to_owned(), body: body.to_owned() });
        let submission = Submission { owner: owner.to_owned(), key, batch: None, jobs: vec![new(name)] };
        store.submit(submission, at(0)).await.expect("stores")
    };
    assert!(matches!(ask("me", "a", "x").await, Submitted::Accepted { .. }));
    assert_eq!(ask("me", "b", "x").await, Submitted::Repeated(Place::Job(id("a"))));
    assert_eq!(ask("me", "c", "y").await, Submitted::KeyReused);
    assert!(matches!(ask("you", "d", "y").await, Submitted::Accepted { .. }), "keys are their owner's");
    assert!(store.job(&id("b")).await.expect("stores").is_none());
    let lease = claim(store, 1).await.expect("a job");
    store.finish(&lease, completed("a"), at(2), none()).await.expect("stores");
    assert_eq!(ask("me", "b", "x").await, Submitted::Repeated(Place::Job(id("a"))), "also when it has ended");
    assert_eq!(store.forget(&id("a")).await.expect("stores"), Changed::Done);
    assert!(matches!(ask("me", "b", "y").await, Submitted::Accepted { .. }), "a key is forgotten with its job");
}

/// A job whose result is known when it comes.
async fn known(store: &dyn JobStore) {
    let result = fresco_api::JobResult { cached: true, ..made("a").result };
    let cached = fresco_daemon::queue::store::Finished { result, ..made("a") };
    put(store, "me", NewJob { made: Some(Box::new(cached)), ..new("a") }).await;
    let stored = store.job(&id("a")).await.expect("stores").expect("a job");
    assert_eq!(
        (stored.job.status, stored.job.progress, stored.outputs),
        (JobStatus::Completed, 100, made("a").outputs)
    );
    assert!(claim(store, 1).await.is_none());
    let numbers = store.status().await.expect("stores");
    assert_eq!((numbers.queued_jobs, numbers.completed_jobs, numbers.average_processing_time), (0, 1, 0.0));
}

/// Jobs that start from each other's pictures, as one batch.
async fn chain(store: &dyn JobStore) {
    let request: fresco_api::BatchRequest =
        serde_json::from_str(r#"{"request":{"prompt":"x"},"plan":{"type":"refine","rounds":2,"strength":0.5}}"#)
            .expect("parses");
    let batch = |name: &str| BatchId(name.to_owned());
    let submit = async |name: &str, jobs: Vec<NewJob>| {
        let batch = Some((batch(name), request.clone()));
        store.submit(Submission { owner: "me".to_owned(), key: None, batch, jobs }, at(0)).await.expect("stores")
    };
    submit("one", vec![new("a"), following("b", "a"), following("c", "b")]).await;
    let a = claim(store, 1).await.expect("a job");
    assert!(claim(store, 1).await.is_none(), "the others have nothing to start from");
    let Finish::Applied(then) = store.finish(&a, completed("a"), at(2), none()).await.expect("stores") else {
        panic!("the lease holds")
    };
    assert_eq!((then.released, then.ended), (vec![id("b")], vec![]));
    let b = claim(store, 3).await.expect("a job");
    let picture = BlobHash::of(b"a");
    assert_eq!((&b.job, b.inputs.as_slice()), (&id("b"), &[picture][..]));
    let shown = serde_json::to_value(&b.request).expect("JSON");
    assert_eq!(shown["initImage"], format!("sha256:{picture}"));
    let (whole, owner) = store.batch(&batch("one")).await.expect("stores").expect("a batch");
    assert_eq!((owner.as_str(), whole.status, whole.jobs.len()), ("me", JobStatus::Processing, 3));
    assert_eq!(whole.progress, 33);
    let error = ApiError::new(ErrorCode::Device, "lost");
    let Finish::Applied(then) = store.finish(&b, Outcome::Failed(error), at(4), none()).await.expect("stores") else {
        panic!("the lease holds")
    };
    assert_eq!((then.released, then.ended), (vec![], vec![id("c")]), "what waited for it ends with it");
    // Tried again, the rest follows.
    assert_eq!(store.retry(&id("b"), at(5)).await.expect("stores"), Changed::Done);
    assert_eq!(store.retry(&id("c"), at(5)).await.expect("stores"), Changed::Done);
    let b = claim(store, 6).await.expect("a job");
    assert_eq!(b.inputs, [picture]);
    store.finish(&b, completed("b"), at(7), none()).await.expect("stores");
    let c = claim(store, 8).await.expect("a job");
    assert_eq!(c.inputs, [BlobHash::of(b"b")]);
    store.finish(&c, completed("c"), at(9), none()).await.expect("stores");
    let (whole, _) = store.batch(&batch("one")).await.expect("stores").expect("a batch");
    assert_eq!((whole.status, whole.progress), (JobStatus::Completed, 100));
    // A wish to stop the first stops all.
    submit("two", vec![new("d"), following("e", "d"), following("f", "e")]).await;
    let cancelled = store.cancel(&id("d"), at(9), none()).await.expect("stores");
    assert_eq!(cancelled, Cancel::Cancelled(vec![id("d"), id("e"), id("f")]));
    for name in ["d", "e", "f"] {
        assert_eq!(store.forget(&id(name)).await.expect("stores"), Changed::Done);
    }
    assert!(store.batch(&batch("two")).await.expect("stores").is_none(), "a batch goes with its last job");
}

async fn history(store: &dyn JobStore) {
    for (second, name) in (1..).zip(["a", "b", "c"]) {
        submit(store, name).await;
        let lease = store.claim(at(second), TTL, None).await.expect("stores").expect("a job");
        store.finish(&lease, completed(name), at(second), none()).await.expect("stores");
    }
    assert!(store.job(&id("a")).await.expect("stores").is_none(), "the oldest is forgotten");
    assert!(store.job(&id("b")).await.expect("stores").is_some());
    assert_eq!(store.status().await.expect("stores").completed_jobs, 3, "but still counted");
    let since = store.since("me", at(3), 9).await.expect("stores");
    assert_eq!(since.into_iter().map(|stored| stored.job.id).collect::<Vec<_>>(), [id("c")]);
    assert!(store.since("you", at(0), 9).await.expect("stores").is_empty());
}

async fn search(store: &dyn JobStore) {
    for (name, prompt) in [("a", "100% Wool"), ("b", "100 wolves"), ("c", "a_b"), ("d", "axb")] {
        let request = fresco_api::ImageRequest { prompt: prompt.to_owned(), ..Default::default() };
        let params = fresco_api::Params { prompt: prompt.to_owned(), ..params() };
        put(store, "me", NewJob { request: request.into(), params, ..new(name) }).await;
    }
    let find = async |text: &str, before: Option<&str>| {
        let (prompt, before) = (Some(text.to_owned()), before.map(id));
        let found = store.newest(Filter { prompt, before, limit: 9, ..Filter::default() }).await.expect("stores");
        found.into_iter().map(|job| job.id.0).collect::<Vec<_>>()
    };
    assert_eq!(find("WO", None).await, ["b", "a"]);
    assert_eq!(find("WO", Some("b")).await, ["a"]);
    assert_eq!(find("100%", None).await, ["a"], "no sign means anything but itself");
    assert_eq!(find("a_b", None).await, ["c"]);
    assert!(find("\\", None).await.is_empty());
}

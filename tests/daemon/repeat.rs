//! What comes twice: a submit that says so is one submit, and a picture that was made before is not made again.

use crate::support::{
    daemon::{Daemon, config, refused},
    events,
};
use fresco_api::{Batch, ErrorCode, Job, JobStatus, routes};
use fresco_daemon::engine::fake;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

async fn post(daemon: &Daemon, route: &str, key: &str, body: &Value) -> Response {
    daemon.ask(Method::POST, route).header("idempotency-key", key).json(body).send().await.expect("answers")
}

#[tokio::test]
async fn the_same_key_with_the_same_body_is_the_first_job() {
    let daemon = Daemon::start().await;
    let body = json!({"prompt": "a tent", "steps": 2});
    let first = post(&daemon, routes::TEXT2IMG, "one", &body).await;
    assert_eq!(first.status(), StatusCode::ACCEPTED);
    let first: Job = first.json().await.expect("a job");
    for _ in 0..2 {
        let again = post(&daemon, routes::TEXT2IMG, "one", &body).await;
        assert_eq!(
            (again.status(), again.headers()["idempotency-replayed"].as_bytes()),
            (StatusCode::OK, &b"true"[..])
        );
        assert_eq!(again.json::<Job>().await.expect("a job").id, first.id);
        daemon.wait_for(&first.id, JobStatus::Completed).await;
    }
    let ours = format!("{}{}", routes::API, routes::TEXT2IMG);
    assert_eq!(post(&daemon, &ours, "one", &body).await.json::<Job>().await.expect("a job").id, first.id);
    assert_ne!(post(&daemon, routes::TEXT2IMG, "two", &body).await.json::<Job>().await.expect("a job").id, first.id);
    assert_eq!(daemon.jobs("").await.len(), 2);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let daemon = Daemon::start().await;
    post(&daemon, routes::TEXT2IMG, "one", &json!({"prompt": "a tent"})).await;
    let other = post(&daemon, routes::TEXT2IMG, "one", &json!({"prompt": "a tree"})).await;
    let error = refused(other, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!((error.code, error.field.as_deref()), (ErrorCode::Conflict, Some("Idempotency-Key")));
    let batch = json!({"request": {"prompt": "a tent"}, "plan": {"type": "seeds", "count": 2}});
    refused(post(&daemon, routes::BATCH, "one", &batch).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    let long = "k".repeat(256);
    refused(post(&daemon, routes::TEXT2IMG, &long, &json!({"prompt": "x"})).await, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn a_batch_is_repeated_as_a_whole() {
    let daemon = Daemon::start().await;
    let body = json!({"request": {"prompt": "a tent", "steps": 1}, "plan": {"type": "seeds", "count": 3}});
    let first: Batch = post(&daemon, routes::BATCH, "one", &body).await.json().await.expect("a batch");
    let again: Batch = post(&daemon, routes::BATCH, "one", &body).await.json().await.expect("a batch");
    assert_eq!(first.id, again.id);
    assert_eq!(daemon.jobs("").await.len(), 3);
}

#[tokio::test]
async fn many_at_once_with_one_key_are_one_job() {
    let daemon = Daemon::start().await;
    let body = json!({"prompt": "a tent", "steps": 1});
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let ask = daemon.ask(Method::POST, routes::TEXT2IMG).header("idempotency-key", "one").json(&body);
        asked.spawn(async move { ask.send().await.expect("answers").json::<Job>().await.expect("a job").id });
    }
    let mut ids = asked.join_all().await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_picture_with_a_fixed_seed_is_made_once() {
    let config = config();
    let start = || {
        let engine = fake::start(std::time::Duration::from_millis(1)).expect("a thread");
        Daemon::with(config.clone(), std::sync::Arc::new(engine))
    };
    let daemon = start().await;
    let body = json!({"prompt": "a tent", "steps": 2, "seed": 5});
    let first = daemon.submit(body.clone()).await;
    let first = daemon.wait_for(&first.id, JobStatus::Completed).await.result.expect("a result");
    assert!(!first.cached);
    let again = daemon.submit(body.clone()).await;
    assert_eq!(again.status, JobStatus::Completed, "it is answered at once");
    let shown = again.result.expect("a result");
    assert!(shown.cached && shown.images == first.images && shown.parameters == first.parameters);
    let told = events::all(events::open(&daemon, &again.id, None).await).await;
    assert_eq!(told.iter().map(|sent| sent.name.as_str()).collect::<Vec<_>>(), ["queued", "done"]);
    daemon.stop().await;

    let daemon = start().await;
    let after = daemon.submit(body.clone()).await;
    assert!(after.result.is_some_and(|result| result.cached), "also after a restart");
    for other in [json!({"prompt": "a tent", "steps": 3, "seed": 5}), json!({"prompt": "a tent", "steps": 2})] {
        assert_eq!(daemon.submit(other).await.status, JobStatus::Queued);
    }
    let anew = daemon.ask(Method::POST, routes::TEXT2IMG).header("cache-control", "no-cache").json(&body).send().await;
    let anew: Job = anew.expect("answers").json().await.expect("a job");
    let made = daemon.wait_for(&anew.id, JobStatus::Completed).await.result.expect("a result");
    assert!(!made.cached && made.images == first.images, "made anew, it is the same");
}

//! The queue as a whole: its bounds and its numbers.

use crate::support::daemon::{Daemon, config, refused};
use fresco_api::{ErrorCode, JobStatus, QueueStatus, routes};
use fresco_daemon::{
    config::{Config, QueueLimits},
    engine::fake,
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::{sync::Arc, time::Duration};

async fn bounded(step: Duration, queue: QueueLimits) -> Daemon {
    Daemon::with(Config { queue, ..config() }, Arc::new(fake::start(step).expect("a thread"))).await
}

async fn status(daemon: &Daemon) -> QueueStatus {
    daemon.get(routes::QUEUE_STATUS).await.json().await.expect("numbers")
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let daemon = bounded(Duration::from_millis(50), QueueLimits { waiting: 2, ..QueueLimits::default() }).await;
    let running = daemon.submit_steps(100).await;
    daemon.wait_for(&running.id, JobStatus::Processing).await;
    daemon.submit_steps(1).await;
    let last = daemon.submit_steps(1).await;
    let ask = || daemon.ask(Method::POST, routes::TEXT2IMG).json(&json!({"prompt": "x"})).send();
    let answer = ask().await.expect("answers");
    assert!(answer.headers().contains_key("retry-after"));
    let error = refused(answer, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(error.code, ErrorCode::Busy);
    // Reading and cancelling work while it is full, and cancelling makes room.
    assert_eq!(status(&daemon).await.queued_jobs, 2);
    daemon.cancel(&last.id).await;
    assert_eq!(ask().await.expect("answers").status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn the_numbers_add_up() {
    let daemon = Daemon::with_step(Duration::from_millis(30)).await;
    assert_eq!(status(&daemon).await, QueueStatus::default());
    let done = daemon.submit_steps(2).await;
    daemon.wait_for(&done.id, JobStatus::Completed).await;
    let failed = daemon.submit(json!({"prompt": fake::PANIC_PROMPT})).await;
    daemon.wait_for(&failed.id, JobStatus::Failed).await;
    let running = daemon.submit_steps(100).await;
    daemon.wait_for(&running.id, JobStatus::Processing).await;
    daemon.submit_steps(1).await;
    let now = status(&daemon).await;
    assert_eq!((now.queued_jobs, now.processing_jobs, now.completed_jobs, now.failed_jobs), (1, 1, 1, 1));
    assert!((60.0..2_000.0).contains(&now.average_processing_time), "{}", now.average_processing_time);
}

#[tokio::test]
async fn jobs_run_in_their_order() {
    let daemon = Daemon::with_step(Duration::from_millis(5)).await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(daemon.submit_steps(3).await.id);
    }
    let mut started = Vec::new();
    for id in &jobs {
        started.push(daemon.wait_for(id, JobStatus::Completed).await.started_at);
    }
    assert!(started.is_sorted(), "{started:?}");
}

#[tokio::test]
async fn old_jobs_are_forgotten_and_the_newest_is_kept() {
    let tight = QueueLimits { history_jobs: 3, history_bytes: 1, ..QueueLimits::default() };
    let daemon = bounded(Duration::ZERO, tight).await;
    let first = daemon.submit_steps(1).await;
    daemon.wait_for(&first.id, JobStatus::Completed).await;
    let second = daemon.submit_steps(1).await;
    let kept = daemon.wait_for(&second.id, JobStatus::Completed).await;
    assert_eq!(kept.result.expect("a result").images.len(), 1);
    refused(daemon.get(&routes::job(&first.id)).await, StatusCode::NOT_FOUND).await;
    refused(daemon.get(&routes::job_events(&first.id)).await, StatusCode::NOT_FOUND).await;
    assert_eq!(status(&daemon).await.completed_jobs, 2);
}

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
    let daemon = bounded(Duration::ZERO, QueueLimits { history_jobs: 1, ..QueueLimits::default() }).await;
    let first = daemon.submit_steps(1).await;
    daemon.wait_for(&first.id, JobStatus::Completed).await;
    let second = daemon.submit_steps(1).await;
    let kept = daemon.wait_for(&second.id, JobStatus::Completed).await;
    assert_eq!(kept.result.expect("a result").images.len(), 1);
    refused(daemon.get(&routes::job(&first.id)).await, StatusCode::NOT_FOUND).await;
    refused(daemon.get(&routes::job_events(&first.id)).await, StatusCode::NOT_FOUND).await;
    assert_eq!(status(&daemon).await.completed_jobs, 2);
}

#[tokio::test]
async fn a_paused_queue_gives_out_nothing_until_it_is_resumed() {
    let daemon = Daemon::start().await;
    let paused: QueueStatus = daemon.post(routes::QUEUE_PAUSE, &json!({})).await.json().await.expect("numbers");
    assert!(paused.paused);
    let job = daemon.submit_steps(1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(daemon.job(&job.id).await.status, JobStatus::Queued);
    let resumed: QueueStatus = daemon.post(routes::QUEUE_RESUME, &json!({})).await.json().await.expect("numbers");
    assert!(!resumed.paused);
    daemon.wait_for(&job.id, JobStatus::Completed).await;
}

#[tokio::test]
async fn a_job_that_takes_too_long_fails_and_the_next_one_runs() {
    let limits = QueueLimits { timeout: Some(Duration::from_millis(150)), ..QueueLimits::default() };
    let daemon = bounded(Duration::from_millis(20), limits).await;
    let slow = daemon.submit_steps(100).await;
    let failed = daemon.wait_for(&slow.id, JobStatus::Failed).await;
    assert_eq!(failed.error.map(|error| error.code), Some(ErrorCode::Timeout));
    daemon.still_serves().await;
}

#[tokio::test]
async fn several_jobs_run_at_a_time_where_it_is_wanted() {
    let limits = QueueLimits { concurrent: 3, ..QueueLimits::default() };
    let daemon = bounded(Duration::from_millis(20), limits).await;
    for _ in 0..5 {
        daemon.submit_steps(100).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let now = status(&daemon).await;
    assert_eq!((now.processing_jobs, now.queued_jobs), (3, 2));
}

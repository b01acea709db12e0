//! Cancelling, wherever a job is.

use crate::support::{
    daemon::{Daemon, refused},
    events,
};
use fresco_api::{ErrorCode, Job, JobEvent, JobStatus};
use reqwest::StatusCode;
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_running_job_stops_within_a_step() {
    let daemon = Daemon::with_step(STEP).await;
    let job = daemon.submit_steps(100).await;
    daemon.wait(&job.id, |job| job.progress > 10).await;
    let asked = Instant::now();
    let answer = daemon.cancel(&job.id).await;
    assert!(matches!(answer.status(), StatusCode::OK | StatusCode::ACCEPTED));
    let over = daemon.wait_for(&job.id, JobStatus::Cancelled).await;
    assert!(asked.elapsed() < STEP * 2, "took {:?}", asked.elapsed());
    assert!(over.progress < 50 && over.result.is_none() && over.completed_at.is_some());
    daemon.still_serves().await;
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once_and_never_runs() {
    let daemon = Daemon::with_step(STEP).await;
    let first = daemon.submit_steps(100).await;
    daemon.wait_for(&first.id, JobStatus::Processing).await;
    let second = daemon.submit_steps(100).await;
    let third = daemon.submit_steps(1).await;
    let answer = daemon.cancel(&second.id).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let over: Job = answer.json().await.expect("a job");
    assert_eq!((over.status, over.started_at), (JobStatus::Cancelled, None));
    let told = events::all(events::open(&daemon, &second.id, None).await).await;
    assert_eq!(told.iter().map(|sent| sent.name.as_str()).collect::<Vec<_>>(), ["queued", "cancelled"]);

    daemon.cancel(&first.id).await;
    daemon.wait_for(&third.id, JobStatus::Completed).await;
    let moved = events::all(events::open(&daemon, &third.id, None).await).await;
    let ahead: Vec<u64> = moved
        .iter()
        .filter_map(|sent| match sent.event {
            JobEvent::Queued { ahead } => Some(ahead),
            _ => None,
        })
        .collect();
    assert_eq!(ahead, [2, 1, 0], "those behind a cancelled job move up");
}

#[tokio::test]
async fn cancelling_twice_is_fine_and_a_finished_job_cannot_be_cancelled() {
    let daemon = Daemon::with_step(STEP).await;
    let job = daemon.submit_steps(100).await;
    daemon.cancel(&job.id).await;
    daemon.wait_for(&job.id, JobStatus::Cancelled).await;
    assert_eq!(daemon.cancel(&job.id).await.status(), StatusCode::OK);

    let done = daemon.submit_steps(1).await;
    daemon.wait_for(&done.id, JobStatus::Completed).await;
    let error = refused(daemon.cancel(&done.id).await, StatusCode::CONFLICT).await;
    assert_eq!(error.code, ErrorCode::Conflict);
    assert_eq!(daemon.job(&done.id).await.status, JobStatus::Completed);
}

//! What was accepted outlives the program: a restart, a job that kills its worker, a server that stops.

use crate::support::{
    daemon::{Daemon, config, refused},
    events,
};
use fresco_api::{Job, JobEvent, JobStatus, routes};
use fresco_daemon::{config::Config, engine::fake};
use reqwest::StatusCode;
use serde_json::json;
use std::{sync::Arc, time::Duration};

async fn start(config: &Config, step: u64) -> Daemon {
    let engine = fake::start(Duration::from_millis(step)).expect("a thread");
    Daemon::with(config.clone(), Arc::new(engine)).await
}

#[tokio::test]
async fn jobs_and_results_are_there_after_a_restart() {
    let config = config();
    let daemon = start(&config, 1).await;
    let done = daemon.submit_steps(2).await;
    let done = daemon.wait_for(&done.id, JobStatus::Completed).await;
    let told = events::all(events::open(&daemon, &done.id, None).await).await;
    let end = told.last().expect("events").id;
    daemon.stop().await;

    let daemon = start(&config, 1).await;
    assert_eq!(daemon.job(&done.id).await, done);
    assert_eq!(daemon.jobs("status=completed").await.len(), 1);
    // Who was away hears the end under its old number; who has heard it is told to stay away.
    let again = events::all(events::open(&daemon, &done.id, Some(end - 1)).await).await;
    assert_eq!(again.iter().map(|sent| sent.id).collect::<Vec<_>>(), [end]);
    assert_eq!(again[0].event, told.last().expect("events").event);
    assert_eq!(events::open(&daemon, &done.id, Some(end)).await.status(), StatusCode::NO_CONTENT);
    let whole = events::all(events::open(&daemon, &done.id, None).await).await;
    assert_eq!(whole.len(), told.len(), "a short story is kept whole");
    daemon.still_serves().await;
}

#[tokio::test]
async fn a_server_that_stops_gives_its_job_back_untried_and_the_next_one_goes_on() {
    let config = config();
    let daemon = start(&config, 50).await;
    let running = daemon.submit(json!({"prompt": "a tent", "steps": 100, "seed": 1})).await;
    let waiting = daemon.submit_steps(2).await;
    let mut stream = events::open(&daemon, &running.id, None).await;
    let before = events::until(&mut stream, |event| matches!(event, JobEvent::Step { step: 2, .. })).await;
    daemon.stop().await;

    let daemon = start(&config, 1).await;
    for id in [&running.id, &waiting.id] {
        let done = daemon.wait_for(id, JobStatus::Completed).await;
        assert_eq!(done.attempts, 1, "the attempt that was given back does not count");
    }
    // Its listener comes back and hears the rest, under numbers that are all new.
    let last = before.last().expect("events").id;
    let after = events::all(events::open(&daemon, &running.id, Some(last)).await).await;
    assert!(after.iter().all(|sent| sent.id > last) && after.is_sorted_by(|a, b| a.id < b.id));
    assert!(matches!(after.last().expect("events").event, JobEvent::Done { .. }));
}

#[tokio::test]
async fn pictures_that_jobs_start_from_are_kept_too() {
    let config = config();
    let daemon = start(&config, 1).await;
    daemon.post(routes::QUEUE_PAUSE, &json!({})).await;
    let picture = fresco_diffusion::Picture { width: 64, height: 64, rgb: vec![90; 64 * 64 * 3] };
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, picture.png(&[]));
    let body = json!({"prompt": "x", "initImage": text, "steps": 2});
    let job: Job = daemon.post(routes::IMG2IMG, &body).await.json().await.expect("a job");
    daemon.stop().await;
    let daemon = start(&config, 1).await;
    assert_eq!(daemon.job(&job.id).await.status, JobStatus::Queued, "a queue stays paused");
    daemon.post(routes::QUEUE_RESUME, &json!({})).await;
    daemon.wait_for(&job.id, JobStatus::Completed).await;
}

#[tokio::test]
async fn what_failed_is_sent_round_again() {
    let daemon = Daemon::start().await;
    let job = daemon.submit(json!({"prompt": fake::PANIC_PROMPT, "steps": 1})).await;
    daemon.wait_for(&job.id, JobStatus::Failed).await;
    let told = events::all(events::open(&daemon, &job.id, None).await).await;
    let last = told.last().expect("events").id;
    let retry = routes::of_job(routes::JOB_RETRY, &job.id);
    assert_eq!(daemon.post(&retry, &json!({})).await.status(), StatusCode::ACCEPTED);
    daemon.wait_for(&job.id, JobStatus::Failed).await;
    let more = events::all(events::open(&daemon, &job.id, Some(last)).await).await;
    assert!(more.first().is_some_and(|sent| sent.id == last + 1), "it goes on counting");
    assert!(matches!(more.last().expect("events").event, JobEvent::Failed { .. }));

    let done = daemon.submit_steps(1).await;
    daemon.wait_for(&done.id, JobStatus::Completed).await;
    let retry = routes::of_job(routes::JOB_RETRY, &done.id);
    refused(daemon.post(&retry, &json!({})).await, StatusCode::CONFLICT).await;
    refused(daemon.post("/jobs/none/retry", &json!({})).await, StatusCode::NOT_FOUND).await;
}

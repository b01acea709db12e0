//! Many at once: how long a submit takes while 64 submit, and what ten thousand waiting jobs cost. The numbers are
//! printed; they are held to their bounds only where `FRESCO_LONG_TESTS` says that the machine has nothing else to do.

use crate::support::daemon::{Daemon, config};
use fresco_api::{JobStatus, QueueStatus, routes};
use fresco_daemon::{
    config::{Config, QueueLimits},
    engine::fake,
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const SUBMITTERS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submits_are_quick_and_a_long_queue_is_no_burden() {
    let long = std::env::var_os("FRESCO_LONG_TESTS").is_some();
    let each = if long { 157 } else { 8 };
    let queue = QueueLimits { waiting: 20_000, ..QueueLimits::default() };
    let engine = Arc::new(fake::start(Duration::ZERO).expect("a thread"));
    let daemon = Arc::new(Daemon::with(Config { queue, ..config() }, engine).await);
    daemon.post(routes::QUEUE_PAUSE, &json!({})).await;

    let began = Instant::now();
    let mut submitters = tokio::task::JoinSet::new();
    for _ in 0..SUBMITTERS {
        let daemon = daemon.clone();
        submitters.spawn(async move {
            let mut times = Vec::with_capacity(each);
            for seed in 0..each {
                let body = json!({"prompt": "a tent", "steps": 1, "width": 64, "height": 64, "seed": seed});
                let began = Instant::now();
                let answer = daemon.ask(Method::POST, routes::TEXT2IMG).json(&body).send().await.expect("answers");
                assert_eq!(answer.status(), StatusCode::ACCEPTED);
                times.push(began.elapsed());
            }
            times
        });
    }
    let mut times: Vec<Duration> = submitters.join_all().await.into_iter().flatten().collect();
    times.sort();
    let jobs = times.len();
    let (median, p99) = (times[jobs / 2], times[jobs * 99 / 100]);
    let rate = jobs as f64 / began.elapsed().as_secs_f64();
    println!("{jobs} submits by {SUBMITTERS} at once: median {median:?}, p99 {p99:?}, {rate:.0} a second");

    let status: QueueStatus = daemon.get(routes::QUEUE_STATUS).await.json().await.expect("numbers");
    assert_eq!(status.queued_jobs, jobs as u64);
    let began = Instant::now();
    assert_eq!(daemon.jobs("status=queued&limit=1000").await.len(), jobs.min(1_000));
    println!("a list of 1000: {:?}", began.elapsed());
    daemon.post(routes::QUEUE_RESUME, &json!({})).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let done = daemon.jobs("status=completed&limit=1000").await;
    println!("in 2 seconds of work behind {jobs} jobs {} were completed", done.len());
    assert!(done.len() >= 10 && done.iter().all(|job| job.status == JobStatus::Completed));
    if long {
        assert!(p99 < Duration::from_millis(50), "p99 of a submit is {p99:?}");
    }
}

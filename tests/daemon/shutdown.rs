//! Stopping: soon, and without leaving a client hanging.

use crate::support::{daemon::Daemon, events};
use fresco_api::{JobEvent, routes};
use std::time::{Duration, Instant};

#[tokio::test]
async fn stopping_ends_streams_and_stops_the_running_job() {
    let daemon = Daemon::with_step(Duration::from_millis(100)).await;
    let running = daemon.submit_steps(150).await;
    let waiting = daemon.submit_steps(150).await;
    let mut first = events::open(&daemon, &running.id, None).await;
    let mut second = events::open(&daemon, &waiting.id, None).await;
    events::until(&mut first, |event| matches!(event, JobEvent::Step { .. })).await;
    events::until(&mut second, |event| matches!(event, JobEvent::Queued { .. })).await;
    let asked = Instant::now();
    let (base, client) = (daemon.base.clone(), daemon.client.clone());
    daemon.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(3), "took {:?}", asked.elapsed());
    for stream in [&mut first, &mut second] {
        while let Some(chunk) = stream.chunk().await.expect("the stream ends without a break") {
            assert!(!chunk.is_empty());
        }
    }
    assert!(client.get(base + routes::HEALTH).send().await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn an_idle_daemon_stops_at_once() {
    let daemon = Daemon::start().await;
    daemon.get(routes::HEALTH).await.bytes().await.expect("an answer");
    let asked = Instant::now();
    daemon.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "took {:?}", asked.elapsed());
}

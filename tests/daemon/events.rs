//! Event streams: complete, numbered, resumable, and over when the job is.

use crate::support::{daemon::Daemon, events};
use fresco_api::{JobEvent, JobStatus};
use reqwest::StatusCode;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_listener_from_the_start_hears_everything() {
    let daemon = Daemon::with_step(Duration::from_millis(20)).await;
    let job = daemon.submit_steps(3).await;
    let stream = events::open(&daemon, &job.id, None).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let heard = events::all(stream).await;
    let ids: Vec<u64> = heard.iter().map(|sent| sent.id).collect();
    assert_eq!(ids, (1..=heard.len() as u64).collect::<Vec<_>>());
    assert!(heard.iter().all(|sent| sent.name == sent.event.name()));
    assert_eq!(heard[0].event, JobEvent::Queued { ahead: 0 });
    assert!(heard.iter().any(|sent| matches!(sent.event, JobEvent::Loading { total: 4, .. })));
    let steps: Vec<u32> = heard
        .iter()
        .filter_map(|sent| match sent.event {
            JobEvent::Step { step, of: 3 } => Some(step),
            _ => None,
        })
        .collect();
    assert_eq!(steps, [0, 1, 2, 3]);
    let JobEvent::Done { result } = &heard.last().expect("events").event else { panic!("ends with the result") };
    assert_eq!(Some(&**result), daemon.job(&job.id).await.result.as_ref());
}

#[tokio::test]
async fn events_arrive_while_the_job_runs() {
    let daemon = Daemon::with_step(Duration::from_millis(50)).await;
    let job = daemon.submit_steps(100).await;
    let mut stream = events::open(&daemon, &job.id, None).await;
    events::until(&mut stream, |event| matches!(event, JobEvent::Step { step: 2, .. })).await;
    assert_eq!(daemon.job(&job.id).await.status, JobStatus::Processing);
    daemon.cancel(&job.id).await;
    events::until(&mut stream, |event| *event == JobEvent::Cancelled).await;
    assert!(stream.chunk().await.expect("no break").is_none(), "the final event ends the stream");
}

#[tokio::test]
async fn a_listener_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let daemon = Daemon::with_step(Duration::from_millis(30)).await;
    let job = daemon.submit_steps(6).await;
    let mut first = events::open(&daemon, &job.id, None).await;
    let before = events::until(&mut first, |event| matches!(event, JobEvent::Step { step: 2, .. })).await;
    drop(first);
    let last = before.last().expect("events").id;
    let after = events::all(events::open(&daemon, &job.id, Some(last)).await).await;
    assert_eq!(after[0].id, last + 1);
    assert!(matches!(after.last().expect("events").event, JobEvent::Done { .. }));
    let whole = events::all(events::open(&daemon, &job.id, None).await).await;
    assert_eq!(whole.len(), before.len() + after.len());

    let end = whole.last().expect("events").id;
    let only = events::all(events::open(&daemon, &job.id, Some(end - 1)).await).await;
    assert_eq!(only.len(), 1);
    let told = events::open(&daemon, &job.id, Some(end)).await;
    assert_eq!(told.status(), StatusCode::NO_CONTENT, "who has heard the end is told to stay away");
    assert_eq!(events::open(&daemon, &job.id, Some(u64::MAX)).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn many_listeners_hear_the_same() {
    let daemon = Daemon::with_step(Duration::from_millis(20)).await;
    let job = daemon.submit_steps(5).await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(events::open(&daemon, &job.id, None).await);
    }
    let whole = events::all(events::open(&daemon, &job.id, None).await).await;
    for stream in streams {
        assert_eq!(events::all(stream).await.len(), whole.len());
    }
}

#[tokio::test]
async fn previews_come_when_asked_for_and_not_too_often() {
    let daemon = Daemon::with_step(Duration::from_millis(20)).await;
    let body = |preview: bool| json!({"prompt": "a tent", "steps": 60, "seed": 7, "preview": preview});
    let job = daemon.submit(body(true)).await;
    let mut stream = events::open(&daemon, &job.id, None).await;
    let mut heard = events::until(&mut stream, |event| matches!(event, JobEvent::Preview { .. })).await;
    let last = heard.last().expect("events").id;
    heard.extend(events::all(events::open(&daemon, &job.id, Some(last)).await).await);
    let images: Vec<&String> = heard
        .iter()
        .filter_map(|sent| match &sent.event {
            JobEvent::Preview { image } => Some(image),
            _ => None,
        })
        .collect();
    // 60 steps take at least 1.2 seconds: at least a second picture; a slow machine may take twenty seconds.
    assert!((2..=40).contains(&images.len()), "{} previews", images.len());
    assert!(images.iter().all(|image| image.starts_with("data:image/png;base64,")));
    assert!(heard.is_sorted_by(|a, b| a.id < b.id));

    // Who comes late hears the newest only, and everything else.
    let whole = events::all(events::open(&daemon, &job.id, None).await).await;
    let of = |wanted: fn(&JobEvent) -> bool| whole.iter().filter(|sent| wanted(&sent.event)).count();
    assert_eq!(of(|event| matches!(event, JobEvent::Preview { .. })), 1);
    assert_eq!(of(|event| matches!(event, JobEvent::Step { .. })), 61);
    assert!(matches!(whole.last().expect("events").event, JobEvent::Done { .. }));

    let quiet = daemon.submit(body(false)).await;
    let whole = events::all(events::open(&daemon, &quiet.id, None).await).await;
    assert!(!whole.iter().any(|sent| matches!(sent.event, JobEvent::Preview { .. })));
}

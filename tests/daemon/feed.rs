//! One stream for all of a caller's jobs.

use crate::support::daemon::{Daemon, PATIENCE, config};
use fresco_api::{FeedEvent, JobEvent, JobId, JobStatus, routes};
use fresco_daemon::engine::fake;
use reqwest::{Method, Response};
use std::{sync::Arc, time::Duration};

async fn open(daemon: &Daemon, after: Option<u64>) -> Response {
    let mut ask = daemon.client.request(Method::GET, format!("{}{}", daemon.base, routes::EVENTS));
    if let Some(after) = after {
        ask = ask.header("last-event-id", after.to_string());
    }
    ask.send().await.expect("answers")
}

type Heard = Vec<(u64, FeedEvent)>;

/// The jobs whose ends were heard.
fn ends(heard: &Heard) -> Vec<JobId> {
    heard.iter().filter(|(_, event)| event.event.is_final()).map(|(_, event)| event.job.clone()).collect()
}

/// Reads a stream until so many jobs have ended; the events with their numbers.
async fn until_ended(stream: &mut Response, jobs: usize) -> Heard {
    until(stream, |heard| ends(heard).len() >= jobs).await
}

async fn until(stream: &mut Response, enough: impl Fn(&Heard) -> bool) -> Heard {
    let mut text = String::new();
    loop {
        let chunk = tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("comes in time").expect("no break");
        text.push_str(std::str::from_utf8(&chunk.expect("goes on")).expect("text"));
        let whole = text.rfind("\n\n").map_or(0, |end| end + 2);
        let heard = parse(&text[..whole]);
        if enough(&heard) {
            return heard;
        }
    }
}

fn parse(text: &str) -> Heard {
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    let event = |block: &str| {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.expect("the field is there").trim().to_owned()
        };
        (field("id").parse().expect("a number"), serde_json::from_str(&field("data")).expect("an event"))
    };
    blocks.map(event).collect()
}

#[tokio::test]
async fn all_jobs_are_heard_in_order_and_the_stream_goes_on() {
    let daemon = Daemon::start().await;
    let mut stream = open(&daemon, None).await;
    let (first, second) = (daemon.submit_steps(2).await, daemon.submit_steps(2).await);
    let heard = until_ended(&mut stream, 2).await;
    assert!(heard.is_sorted_by(|a, b| a.0 < b.0));
    for job in [&first, &second] {
        let of = heard.iter().filter(|(_, event)| event.job == job.id).map(|(_, event)| event.event.name());
        let names: Vec<&str> = of.collect();
        assert_eq!((names.first(), names.last()), (Some(&"queued"), Some(&"done")), "{names:?}");
        assert_eq!(names.iter().filter(|name| **name == "step").count(), 3);
    }
    let done = heard.iter().find_map(|(_, event)| match &event.event {
        JobEvent::Done { result } => Some(result),
        _ => None,
    });
    assert!(done.expect("a result").images[0].starts_with("/api/v1/images/"), "a feed carries no pictures");
    // Who comes back hears what was missed, and nothing twice.
    let middle = heard[heard.len() / 2].0;
    let mut again = open(&daemon, Some(middle)).await;
    let rest = until_ended(&mut again, heard.iter().filter(|(at, e)| *at > middle && e.event.is_final()).count()).await;
    assert_eq!(rest, heard[heard.len() / 2 + 1..]);
}

#[tokio::test]
async fn who_was_away_during_a_restart_hears_how_their_jobs_ended() {
    let config = config();
    let start = || {
        let engine = fake::start(Duration::from_millis(1)).expect("a thread");
        Daemon::with(config.clone(), Arc::new(engine))
    };
    let daemon = start().await;
    let mut stream = open(&daemon, None).await;
    let first = daemon.submit_steps(1).await;
    let heard = until_ended(&mut stream, 1).await;
    let last = heard.last().expect("events").0;
    drop(stream);
    let second = daemon.submit_steps(1).await;
    daemon.wait_for(&second.id, JobStatus::Completed).await;
    daemon.stop().await;

    let daemon = start().await;
    let mut stream = open(&daemon, Some(last)).await;
    let third = daemon.submit_steps(1).await;
    let heard = until(&mut stream, |heard| ends(heard).contains(&third.id)).await;
    assert!(heard.is_sorted_by(|a, b| a.0 <= b.0) && heard[0].0 >= last);
    let ended = ends(&heard);
    assert!(ended.contains(&second.id), "it ended while nobody listened");
    assert!(ended.iter().filter(|id| **id == first.id).count() <= 1);
}

//! The queue under load, in numbers: `make bench-jobs`. The program is the real one, its engine is slow and false.

use super::loss::{Victim, persist};
use fresco_api::{Job, JobEvent, JobId, QueueStatus, routes};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Submitters at once.
const HANDS: usize = 64;
/// Jobs that wait in the paused queue before it goes on.
const WAITING: usize = 10_000;
/// Jobs that are submitted while others run and tell of it.
const MORE: usize = 2_000;
/// Jobs that somebody watches.
const WATCHED: usize = 500;

/// Submits so many jobs by [`HANDS`]; their names, and how long each submit took, the shortest first.
async fn submit(client: &Client, url: &str, count: usize) -> (Vec<JobId>, Vec<Duration>) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut hands = JoinSet::new();
    for _ in 0..HANDS {
        let (client, url, next) = (client.clone(), url.to_owned(), next.clone());
        hands.spawn(async move {
            let mut done = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let body = json!({"prompt": "a red tent", "steps": 2, "seed": 7, "width": 64, "height": 64});
                let begun = Instant::now();
                let answer = client.post(&url).json(&body).send().await.expect("answers");
                let (status, job) = (answer.status(), answer.bytes().await.expect("a whole answer"));
                let taken = begun.elapsed();
                assert_eq!(status, StatusCode::ACCEPTED, "{}", String::from_utf8_lossy(&job));
                let job: Job = serde_json::from_slice(&job).expect("a job");
                done.push((job.id, taken));
            }
            done
        });
    }
    let (ids, mut times): (Vec<_>, Vec<_>) = hands.join_all().await.into_iter().flatten().unzip();
    times.sort();
    (ids, times)
}

/// Follows a job to its end: its events are numbered without a gap, and its progress never goes back.
async fn watch(client: Client, url: String) {
    let mut stream = client.get(url).send().await.expect("a stream");
    let mut text = String::new();
    while let Some(chunk) = stream.chunk().await.expect("no break") {
        text.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
    let mut last = None;
    let mut step = 0;
    let mut done = false;
    for block in text.split("\n\n").filter(|block| block.contains("data:")) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let number: u64 = field("id:").and_then(|id| id.parse().ok()).expect("a number");
        assert!(last.is_none_or(|last| number == last + 1), "event {number} after {last:?}");
        last = Some(number);
        let event: Value = serde_json::from_str(field("data:").expect("data")).expect("JSON");
        let now = event["step"].as_u64().unwrap_or(step);
        assert!(now >= step, "step {now} after {step}");
        step = now;
        done = matches!(serde_json::from_value(event), Ok(JobEvent::Done { .. }));
    }
    assert!(done, "the stream ends with the end of the job");
}

fn say(what: &str, times: &[Duration], wall: Duration) {
    let at = |share: usize| times[(times.len() * share / 1000).min(times.len() - 1)].as_secs_f64() * 1e3;
    let (median, p99, longest) = (at(500), at(990), at(1000));
    let rate = times.len() as f64 / wall.as_secs_f64();
    println!("{what}: median {median:.1} ms, p99 {p99:.1} ms, longest {longest:.1} ms, {rate:.0} a second");
}

/// The most memory that a process had, in MiB; nothing where the system does not say.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute or two of load; make bench-jobs runs it"]
async fn load_of_ten_thousand_jobs() {
    fresco_daemon::tls::install();
    let client = Client::new();
    let mut victim = Victim::new("load");
    victim.start(None);
    persist(|| client.get(victim.url(routes::HEALTH))).await;
    let url = victim.url(routes::TEXT2IMG);
    let paused = client.post(victim.url(routes::QUEUE_PAUSE)).json(&json!({})).send().await.expect("answers");
    assert!(paused.status().is_success(), "{}", paused.status());

    let (ids, _) = submit(&client, &url, WATCHED).await;
    let mut watching = JoinSet::new();
    for id in &ids {
        watching.spawn(watch(client.clone(), victim.url(&routes::job_events(id))));
    }
    let begun = Instant::now();
    let (_, filling) = submit(&client, &url, WAITING - WATCHED).await;
    say("submits to a queue that grows to 10,000, 500 event streams open", &filling, begun.elapsed());
    let status: QueueStatus =
        client.get(victim.url(routes::QUEUE_STATUS)).send().await.expect("answers").json().await.expect("numbers");
    assert_eq!(status.queued_jobs, WAITING as u64);

    let resumed = client.post(victim.url(routes::QUEUE_RESUME)).json(&json!({})).send().await.expect("answers");
    assert!(resumed.status().is_success(), "{}", resumed.status());
    let begun = Instant::now();
    let (_, busy) = submit(&client, &url, MORE).await;
    say("submits while jobs run and 500 streams tell of them", &busy, begun.elapsed());
    let watched = tokio::time::timeout(Duration::from_secs(300), watching.join_all()).await;
    watched.expect("500 jobs end in time");
    println!(
        "500 event streams: complete, in order, ended {:.1} s after the queue went on",
        begun.elapsed().as_secs_f64()
    );
    let process = victim.child.as_ref().expect("it runs").id();
    if let Some(memory) = peak(process) {
        println!("memory of the daemon: {memory} MiB at most");
        assert!(memory < 250, "{memory} MiB");
    }
    for (what, times) in [("filling", filling), ("busy", busy)] {
        let p99 = times[times.len() * 99 / 100];
        assert!(p99 < Duration::from_millis(50), "{what}: p99 {p99:?}");
    }
}

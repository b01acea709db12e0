//! What owners do to their jobs over HTTP, and the two forms of the interface.

use crate::support::daemon::{Daemon, refused};
use fresco_api::{ErrorCode, Job, JobStatus, Priority, QueueStatus, routes};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::{net::Ipv4Addr, time::Duration};

async fn paused() -> Daemon {
    let daemon = Daemon::start().await;
    daemon.post(routes::QUEUE_PAUSE, &json!({})).await;
    daemon
}

async fn named(daemon: &Daemon, prompt: &str, priority: &str) -> Job {
    daemon.submit(json!({"prompt": prompt, "steps": 1, "priority": priority})).await
}

/// The prompts of the completed jobs in the order in which they began.
async fn begun(daemon: &Daemon, jobs: usize) -> Vec<String> {
    daemon.post(routes::QUEUE_RESUME, &json!({})).await;
    loop {
        let mut done = daemon.jobs("status=completed&limit=1000").await;
        if done.len() == jobs {
            done.sort_by_key(|job| (job.started_at.clone(), job.completed_at.clone()));
            return done.into_iter().map(|job| job.request.image().prompt.clone()).collect();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn priorities_and_moves_change_the_order() {
    let daemon = paused().await;
    let low = named(&daemon, "low", "low").await;
    assert_eq!(low.priority, Priority::Low);
    let mut ids = Vec::new();
    for prompt in ["a", "b", "c"] {
        ids.push(named(&daemon, prompt, "normal").await.id);
    }
    named(&daemon, "high", "high").await;
    let priority = routes::of_job(routes::JOB_PRIORITY, &low.id);
    let raised: Job = daemon.post(&priority, &json!({"priority": "high"})).await.json().await.expect("a job");
    assert_eq!(raised.priority, Priority::High);
    let place = routes::of_job(routes::JOB_MOVE, &ids[2]);
    assert_eq!(daemon.post(&place, &json!({"before": ids[0]})).await.status(), StatusCode::OK);
    let place = routes::of_job(routes::JOB_MOVE, &ids[0]);
    assert_eq!(daemon.post(&place, &json!({"to": "last"})).await.status(), StatusCode::OK);
    let cases = [(&place, json!({}), "to"), (&place, json!({"to": "up"}), "to"), (&priority, json!({}), "priority")];
    for (path, body, field) in cases {
        let error = refused(daemon.post(path, &body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(error.field.as_deref(), Some(field), "{body}");
    }
    refused(daemon.post(&place, &json!({"before": "none"})).await, StatusCode::NOT_FOUND).await;
    let error = refused(
        daemon.post(routes::TEXT2IMG, &json!({"prompt": "x", "priority": "top"})).await,
        StatusCode::BAD_REQUEST,
    )
    .await;
    assert_eq!(error.field.as_deref(), Some("priority"));
    assert_eq!(begun(&daemon, 5).await, ["high", "low", "c", "b", "a"]);
    refused(daemon.post(&priority, &json!({"priority": "low"})).await, StatusCode::CONFLICT).await;
}

#[tokio::test]
async fn a_newcomer_is_not_behind_somebody_elses_flood() {
    let daemon = paused().await;
    for _ in 0..60 {
        daemon.submit_steps(1).await;
    }
    // Another machine, as far as addresses tell.
    let other = Client::builder().local_address(std::net::IpAddr::from(Ipv4Addr::new(127, 0, 0, 2))).build();
    let other = other.expect("a client");
    let body = json!({"prompt": "the newcomer", "steps": 1});
    let sent = other.post(format!("{}{}", daemon.base, routes::TEXT2IMG)).json(&body).send().await.expect("answers");
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
    let order = begun(&daemon, 61).await;
    let place = order.iter().position(|prompt| prompt == "the newcomer");
    assert!(place.is_some_and(|place| place <= 2), "{place:?}");
}

#[tokio::test]
async fn what_has_ended_is_deleted_and_what_has_not_is_refused() {
    let daemon = paused().await;
    let job = daemon.submit_steps(1).await;
    let delete = || async { daemon.ask(Method::DELETE, &routes::job(&job.id)).send().await.expect("answers") };
    let error = refused(delete().await, StatusCode::CONFLICT).await;
    assert_eq!(error.code, ErrorCode::Conflict);
    daemon.cancel(&job.id).await;
    assert_eq!(delete().await.status(), StatusCode::NO_CONTENT);
    refused(delete().await, StatusCode::NOT_FOUND).await;
    refused(daemon.get(&routes::job(&job.id)).await, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_is_searched() {
    let daemon = paused().await;
    for number in 0..7 {
        named(&daemon, if number % 2 == 0 { "An EVEN tent" } else { "an odd tent" }, "normal").await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = daemon.jobs(&format!("limit=3&cursor={cursor}")).await;
        let Some(last) = page.last() else { break };
        cursor = last.id.0.clone();
        seen.extend(page.into_iter().map(|job| job.id));
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|a, b| a > b));
    assert_eq!(daemon.jobs("q=even").await.len(), 4);
    assert_eq!(daemon.jobs("q=100%25").await.len(), 0);
    assert_eq!(daemon.jobs("status=dead").await.len(), 0);
    let long = "x".repeat(201);
    refused(daemon.get(&format!("/jobs?q={long}")).await, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn our_own_interface_has_links_where_the_original_one_has_data() {
    let daemon = Daemon::start().await;
    let ours = |path: &str| format!("{}{path}", routes::API);
    let answer = daemon.post(&ours(routes::TEXT2IMG), &json!({"prompt": "x", "steps": 1})).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let job: Job = answer.json().await.expect("a job");
    let done = daemon.wait_for(&job.id, JobStatus::Completed).await;
    assert!(done.result.expect("a result").images[0].starts_with("data:image/png;base64,"));
    let image = async |path: &str| -> String {
        let job: Value = daemon.get(path).await.json().await.expect("JSON");
        job["result"]["images"][0].as_str().expect("a picture").to_owned()
    };
    let path = routes::job(&job.id);
    assert!(image(&ours(&path)).await.starts_with("/api/v1/images/"));
    assert!(image(&format!("{}?response=inline", ours(&path))).await.starts_with("data:"));
    let inline = json!({"prompt": "x", "steps": 1, "response": "inline"});
    let job: Job = daemon.post(&ours(routes::TEXT2IMG), &inline).await.json().await.expect("a job");
    daemon.wait_for(&job.id, JobStatus::Completed).await;
    assert!(image(&ours(&routes::job(&job.id))).await.starts_with("data:"));
    let status: QueueStatus = daemon.get(&ours(routes::QUEUE_STATUS)).await.json().await.expect("numbers");
    assert_eq!(status.completed_jobs, 2);
    refused(daemon.get(&format!("{path}?response=odd")).await, StatusCode::BAD_REQUEST).await;
    refused(daemon.post(&ours(routes::JOBS), &json!({})).await, StatusCode::METHOD_NOT_ALLOWED).await;
}

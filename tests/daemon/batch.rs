//! Many pictures by one request: each kind of plan, progress and cancel as one.

use crate::support::daemon::{Daemon, PATIENCE, refused};
use fresco_api::{Batch, JobStatus, routes};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn submit(daemon: &Daemon, plan: Value) -> Batch {
    let body = json!({"request": {"prompt": "a tent", "steps": 2, "seed": 7}, "plan": plan});
    let answer = daemon.post(routes::BATCH, &body).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let place = answer.headers()["location"].to_str().expect("text").to_owned();
    let batch: Batch = answer.json().await.expect("a batch");
    assert_eq!(place, routes::batch(&batch.id));
    batch
}

async fn now(daemon: &Daemon, batch: &Batch) -> Batch {
    daemon.get(&routes::batch(&batch.id)).await.json().await.expect("a batch")
}

async fn ended(daemon: &Daemon, batch: &Batch) -> Batch {
    let start = Instant::now();
    loop {
        let batch = now(daemon, batch).await;
        if batch.status.is_final() {
            return batch;
        }
        assert!(start.elapsed() < PATIENCE, "still at {}", batch.progress);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn labels(batch: &Batch) -> Vec<&str> {
    batch.jobs.iter().filter_map(|job| job.label.as_deref()).collect()
}

#[tokio::test]
async fn every_plan_becomes_its_pictures() {
    let daemon = Daemon::start().await;
    let plans = [
        (json!({"type": "seeds", "count": 2}), vec!["seed=7", "seed=8"]),
        (
            json!({"type": "sweep", "axes": [
                {"field": "steps", "values": [1, 2]}, {"field": "sampler", "values": ["euler", "ddim"]},
            ]}),
            vec!["steps=1, sampler=euler", "steps=1, sampler=ddim", "steps=2, sampler=euler", "steps=2, sampler=ddim"],
        ),
        (
            json!({"type": "variants", "styles": ["ink", "oil"], "sizes": [{"width": 64, "height": 96}]}),
            vec!["ink, 64x96", "oil, 64x96"],
        ),
        (json!({"type": "ab", "variants": [{}, {"steps": 1}]}), vec!["A", "B"]),
        (json!({"type": "refine", "rounds": 2, "strength": 0.5}), vec!["stage 1", "stage 2", "stage 3"]),
        (
            json!({"type": "chain", "stages": [{"steps": 1}, {"steps": 4, "size": {"width": 96, "height": 96}}]}),
            vec!["stage 1", "stage 2"],
        ),
    ];
    for (plan, expected) in plans {
        let batch = ended(&daemon, &submit(&daemon, plan.clone()).await).await;
        assert_eq!((batch.status, batch.progress, labels(&batch)), (JobStatus::Completed, 100, expected), "{plan}");
        for job in &batch.jobs {
            assert_eq!(job.batch.as_ref(), Some(&batch.id));
            let shown = daemon.job(&job.id).await.result.expect("a result");
            assert_eq!(shown.images.len(), 1);
        }
    }
}

#[tokio::test]
async fn each_picture_of_a_chain_starts_from_the_one_before() {
    let daemon = Daemon::start().await;
    let batch = submit(&daemon, json!({"type": "refine", "rounds": 2, "strength": 0.5})).await;
    assert_eq!(batch.jobs.iter().filter(|job| job.status == JobStatus::Queued).count(), 3);
    let batch = ended(&daemon, &batch).await;
    let mut sources = Vec::new();
    for job in &batch.jobs {
        let shown: Value = daemon.get(&routes::job(&job.id)).await.json().await.expect("JSON");
        sources.push(shown["request"]["initImage"].as_str().map(str::to_owned));
    }
    assert!(sources[0].is_none());
    assert!(sources[1..].iter().flatten().all(|source| source.starts_with("sha256:") && source.len() == 71));
    let times: Vec<_> = batch.jobs.iter().map(|job| (job.started_at.clone(), job.completed_at.clone())).collect();
    assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "one after the other: {times:?}");
}

#[tokio::test]
async fn a_batch_is_cancelled_as_one() {
    let daemon = Daemon::with_step(Duration::from_millis(50)).await;
    let body = json!({"request": {"prompt": "x", "steps": 100}, "plan": {"type": "seeds", "count": 20}});
    let batch: Batch = daemon.post(routes::BATCH, &body).await.json().await.expect("a batch");
    daemon.wait_for(&batch.jobs[0].id, JobStatus::Processing).await;
    let delete = || daemon.ask(Method::DELETE, &routes::batch(&batch.id)).send();
    refused(delete().await.expect("answers"), StatusCode::CONFLICT).await;
    let place = routes::BATCH_CANCEL.replace("{id}", &batch.id.0);
    assert_eq!(daemon.post(&place, &json!({})).await.status(), StatusCode::OK);
    let batch = ended(&daemon, &batch).await;
    assert!(batch.jobs.iter().all(|job| job.status == JobStatus::Cancelled));
    assert_eq!(batch.status, JobStatus::Cancelled);
    let delete = daemon.ask(Method::DELETE, &routes::batch(&batch.id)).send().await.expect("answers");
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    assert!(daemon.jobs("").await.is_empty());
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all() {
    let daemon = Daemon::start().await;
    let cases = [
        (json!({"type": "seeds", "count": 0}), "plan.count"),
        (json!({"type": "seeds", "count": 2_000}), "plan.count"),
        (json!({"type": "sweep", "axes": [{"field": "steps", "values": [4, 0]}]}), "steps"),
        (json!({"type": "ab", "variants": [{}, {"model": "none"}]}), "model"),
        (json!({"type": "refine", "rounds": 1, "strength": 0}), "strength"),
        (json!({"type": "odd"}), "plan"),
        (json!({"type": "seeds", "count": 1, "more": 1}), "plan"),
    ];
    for (plan, field) in cases {
        let body = json!({"request": {"prompt": "x"}, "plan": plan});
        let error = refused(daemon.post(routes::BATCH, &body).await, StatusCode::BAD_REQUEST).await;
        assert!(error.field.as_deref().is_some_and(|name| name.starts_with(field)), "{body}: {error:?}");
    }
    refused(daemon.get("/batches/none").await, StatusCode::NOT_FOUND).await;
    assert!(daemon.jobs("").await.is_empty());
}

//! A picture's way from request to result.

use crate::support::daemon::{Daemon, refused};
use base64::{Engine, prelude::BASE64_STANDARD};
use fresco_api::{ErrorCode, Job, JobStatus, routes};
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn a_request_becomes_a_picture() {
    let daemon = Daemon::start().await;
    let asked = json!({
        "prompt": "a red tent", "negativePrompt": "rain", "width": 64, "height": 96, "steps": 4,
        "guidanceScale": 2.5, "seed": 42, "sampler": "euler", "model": "fresco-tiny",
    });
    let answer = daemon.post(routes::TEXT2IMG, &asked).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let location = answer.headers()["location"].to_str().expect("text").to_owned();
    let queued: Value = answer.json().await.expect("JSON");
    assert_eq!(queued["request"], asked);
    assert_eq!(
        (&queued["type"], &queued["status"], &queued["progress"]),
        (&json!("text2img"), &json!("queued"), &json!(0))
    );
    assert!(queued.get("startedAt").is_none() && queued.get("result").is_none());
    assert_eq!(location, format!("/jobs/{}", queued["id"].as_str().expect("an id")));

    let job: Job = serde_json::from_value(queued).expect("a job");
    let done = daemon.wait_for(&job.id, JobStatus::Completed).await;
    assert_eq!(done.progress, 100);
    let times = [Some(done.created_at), done.started_at, done.completed_at].map(|time| time.expect("a time"));
    assert!(times.is_sorted() && times.iter().all(|time| time.ends_with('Z') && time.len() == 24), "{times:?}");

    let shown: Value = daemon.get(&location).await.json().await.expect("JSON");
    let result = &shown["result"];
    assert_eq!((&result["seed"], &result["parameters"]["guidanceScale"]), (&json!(42), &json!(2.5)));
    assert!(result["timeTaken"].is_u64());
    let image = result["images"][0].as_str().expect("a picture");
    let png =
        BASE64_STANDARD.decode(image.strip_prefix("data:image/png;base64,").expect("a data URL")).expect("base64");
    let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
    assert_eq!((reader.info().width, reader.info().height), (64, 96));
    let text = reader.info().utf8_text.iter().find(|text| text.keyword == "fresco").expect("the parameters");
    let kept: Value = serde_json::from_str(&text.get_text().expect("text")).expect("JSON");
    assert_eq!(kept, result["parameters"]);
}

#[tokio::test]
async fn what_is_left_out_is_filled_in_and_repeats_the_picture() {
    let daemon = Daemon::start().await;
    let first = daemon.submit(json!({"prompt": "a tent"})).await;
    let first = daemon.wait_for(&first.id, JobStatus::Completed).await.result.expect("a result");
    let model = &first.parameters;
    assert_eq!((model.width, model.steps, model.model.0.as_str()), (128, 8, "fresco-tiny"));
    let again = daemon.submit(serde_json::to_value(&first.parameters).expect("JSON")).await;
    let again = daemon.wait_for(&again.id, JobStatus::Completed).await.result.expect("a result");
    assert_eq!(again.images, first.images);
    let other = daemon.submit(json!({"prompt": "a tent"})).await;
    let other = daemon.wait_for(&other.id, JobStatus::Completed).await.result.expect("a result");
    assert_ne!(other.seed, first.seed, "a seed that is left out is drawn");
}

#[tokio::test]
async fn the_list_has_the_newest_first_and_no_pictures() {
    let daemon = Daemon::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let job = daemon.submit_steps(1).await;
        daemon.wait_for(&job.id, JobStatus::Completed).await;
        ids.insert(0, job.id);
    }
    let list: Vec<Job> = daemon.get(routes::JOBS).await.json().await.expect("a list");
    assert_eq!(list.iter().map(|job| &job.id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    assert!(list.iter().all(|job| job.result.as_ref().is_some_and(|result| result.images.is_empty())));
    let two: Vec<Job> = daemon.get("/jobs?limit=2&status=completed").await.json().await.expect("a list");
    assert_eq!(two.len(), 2);
    let none: Vec<Job> = daemon.get("/jobs?status=failed").await.json().await.expect("a list");
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_bad_list_query_names_its_field() {
    let daemon = Daemon::start().await;
    for (query, field) in
        [("status=odd", "status"), ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit")]
    {
        let error = refused(daemon.get(&format!("/jobs?{query}")).await, StatusCode::BAD_REQUEST).await;
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidField, Some(field)), "{query}");
    }
}

#[tokio::test]
async fn a_job_that_does_not_exist_is_not_found() {
    let daemon = Daemon::start().await;
    for path in ["/jobs/nobody", "/jobs/nobody/events", "/jobs/%00"] {
        let error = refused(daemon.get(path).await, StatusCode::NOT_FOUND).await;
        assert_eq!(error.code, ErrorCode::NotFound, "{path}");
    }
    let error = refused(daemon.post("/jobs/nobody/cancel", &json!({})).await, StatusCode::NOT_FOUND).await;
    assert_eq!(error.code, ErrorCode::NotFound);
}

//! Panics end one job or one request, never the daemon.

use crate::support::{
    daemon::{Daemon, config, refused},
    events,
};
use fresco_api::{ErrorCode, ImageRequest, JobEvent, JobStatus, Params, routes};
use fresco_daemon::{
    engine::{CancellationToken, Engine, EngineError, Made, Progress, Task, fake},
    models::Catalogue,
};
use reqwest::StatusCode;
use serde_json::json;
use std::{pin::Pin, sync::Arc, time::Duration};

#[tokio::test]
async fn a_panic_in_the_engine_fails_its_job_with_a_sentence() {
    let daemon = Daemon::start().await;
    for _ in 0..2 {
        let job = daemon.submit(json!({"prompt": fake::PANIC_PROMPT})).await;
        let failed = daemon.wait_for(&job.id, JobStatus::Failed).await;
        let error = failed.error.expect("an error");
        assert_eq!(error.code, ErrorCode::Device);
        assert_eq!(error.message, "The device failed: the fake device is lost");
        let told = events::all(events::open(&daemon, &job.id, None).await).await;
        assert_eq!(told.last().map(|sent| &sent.event), Some(&JobEvent::Failed { error }));
        daemon.still_serves().await;
    }
}

#[tokio::test]
async fn a_device_without_memory_fails_its_job_with_advice_and_the_next_job_works() {
    let daemon = Daemon::start().await;
    for _ in 0..2 {
        let job = daemon.submit(json!({"prompt": fake::MEMORY_PROMPT})).await;
        let error = daemon.wait_for(&job.id, JobStatus::Failed).await.error.expect("an error");
        assert_eq!(error.code, ErrorCode::OutOfMemory);
        assert!(error.message.starts_with("The device ran out of memory: wgpu error"), "{error}");
        assert!(error.message.contains("--precision q8"), "{error}");
        daemon.still_serves().await;
    }
}

/// An engine that breaks outside its thread, and a handler that breaks with it.
struct Broken;

impl Engine for Broken {
    fn generate(&self, _: Task, _: Progress) -> Pin<Box<dyn Future<Output = Result<Made, EngineError>> + Send>> {
        Box::pin(async { panic!("broken") })
    }

    fn device(&self) -> Option<String> {
        panic!("broken")
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_500_and_one_in_the_worker_a_failed_job() {
    let daemon = Daemon::with(config(), Arc::new(Broken)).await;
    for _ in 0..2 {
        let error = refused(daemon.get(routes::HEALTH).await, StatusCode::INTERNAL_SERVER_ERROR).await;
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(!error.message.contains("broken"), "{error}");
        let job = daemon.submit_steps(1).await;
        let failed = daemon.wait_for(&job.id, JobStatus::Failed).await;
        assert_eq!(failed.error.expect("an error").code, ErrorCode::Internal);
    }
}

#[tokio::test]
async fn work_that_nobody_awaits_is_dropped() {
    let engine = fake::start(Duration::from_millis(50)).expect("a thread");
    let model = Catalogue::new(&config().home, Vec::new()).find(None).expect("the embedded model");
    let request = ImageRequest { prompt: "x".to_owned(), steps: Some(150), ..ImageRequest::default() };
    let params = request.resolve(&model.info, 1).expect("good parameters");
    let line = || Progress::new(CancellationToken::new()).0;
    let (begun, unbegun) =
        (engine.generate(params.clone().into(), line()), engine.generate(params.clone().into(), line()));
    assert!(tokio::time::timeout(Duration::from_millis(200), begun).await.is_err(), "it takes seconds");
    drop(unbegun);
    let soon = engine.generate(Params { steps: 1, ..params }.into(), line());
    let made = tokio::time::timeout(Duration::from_secs(2), soon).await.expect("nothing is in the way");
    assert_eq!(made.expect("a picture").device, "fake");
}

//! A job's life on the page, event by event.

use super::*;
use fresco_api::Sampler;

fn result(seed: u64) -> JobResult {
    let parameters = Params {
        prompt: "a tent".into(),
        negative_prompt: String::new(),
        width: 64,
        height: 64,
        steps: 8,
        guidance_scale: 4.0,
        sampler: Sampler::Euler,
        seed,
        model: "fresco-tiny".into(),
        ..Default::default()
    };
    JobResult { images: vec![format!("data:{seed}")], seed, parameters, time_taken: 1_500, cached: false }
}

fn gpu() -> Context {
    Context { device: "WebGPU".into(), tab_gpu: true }
}

fn failed(code: ErrorCode) -> JobEvent {
    JobEvent::Failed { error: ApiError::new(code, "It broke") }
}

#[test]
fn a_job_goes_from_start_to_picture() {
    let mut studio = Studio::default();
    studio.begin(Place::Tab);
    let words = |studio: &Studio| studio.run.as_ref().map(|run| run.progress.words.clone()).unwrap_or_default();
    studio.apply(JobEvent::Loading { loaded: 1_000_000, total: 20_000_000 }, gpu());
    assert_eq!(words(&studio), "Loading the model: 1.0 MB of 20.0 MB");
    studio.apply(JobEvent::Step { step: 0, of: 8 }, gpu());
    assert_eq!(words(&studio), "Step 1 of 8");
    studio.apply(JobEvent::Step { step: 8, of: 8 }, gpu());
    assert_eq!(words(&studio), "Decoding the picture");
    studio.apply(JobEvent::Done { result: Box::new(result(7)) }, gpu());
    assert_eq!(studio.run, None);
    let picture = studio.picture().expect("is shown");
    assert_eq!((picture.params.seed, picture.device.as_str()), (7, "WebGPU"));
    assert_eq!(picture.file_name(), "fresco-7-64x64.png");
}

#[test]
fn the_processor_is_offered_only_for_a_gpu_of_this_tab() {
    let offered = |place, code, context| {
        let mut studio = Studio::default();
        studio.begin(place);
        studio.apply(failed(code), context);
        studio.problem.map(|problem| problem.try_cpu)
    };
    assert_eq!(offered(Place::Tab, ErrorCode::Device, gpu()), Some(true));
    assert_eq!(offered(Place::Tab, ErrorCode::BadModel, gpu()), Some(false));
    assert_eq!(offered(Place::Tab, ErrorCode::Device, Context::default()), Some(false));
    assert_eq!(offered(Place::Daemon, ErrorCode::Device, gpu()), Some(false));
}

#[test]
fn stopping_is_said_until_it_stopped() {
    let mut studio = Studio::default();
    studio.begin(Place::Daemon);
    studio.stop();
    studio.apply(JobEvent::Step { step: 3, of: 8 }, Context::default());
    assert_eq!(studio.run.as_ref().map(|run| run.progress.words.as_str()), Some("Stopping"));
    studio.apply(JobEvent::Cancelled, Context::default());
    assert!(studio.run.is_none() && studio.cancelled && studio.problem.is_none());
}

#[test]
fn the_next_job_clears_the_problem() {
    let mut studio = Studio::default();
    studio.refuse(ApiError::field("width", "Too wide"));
    studio.begin(Place::Tab);
    assert_eq!(studio.problem, None);
}

#[test]
fn late_events_are_ignored_and_old_pictures_forgotten() {
    let mut studio = Studio::default();
    studio.apply(JobEvent::Done { result: Box::new(result(1)) }, gpu());
    assert!(studio.pictures.is_empty());
    for seed in 0..30 {
        studio.begin(Place::Tab);
        studio.apply(JobEvent::Done { result: Box::new(result(seed)) }, gpu());
    }
    assert_eq!(studio.pictures.len(), Studio::KEPT);
    assert_eq!(studio.picture().map(|picture| picture.params.seed), Some(29));
}

#[test]
fn a_preview_is_shown_until_the_run_ends() {
    let mut studio = Studio::default();
    studio.begin(Place::Tab);
    studio.apply(JobEvent::Preview { image: "data:1".into() }, Context::default());
    assert_eq!(studio.run.as_ref().and_then(|run| run.preview.as_deref()), Some("data:1"));
    studio.apply(JobEvent::Step { step: 2, of: 8 }, Context::default());
    assert_eq!(studio.run.as_ref().and_then(|run| run.preview.as_deref()), Some("data:1"));
    studio.apply(JobEvent::Cancelled, Context::default());
    assert!(studio.run.is_none());
}

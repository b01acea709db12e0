//! Whole runs: the same prompt and seed give the reference's picture.

use crate::{
    RUN,
    files::{golden, models},
};
use fresco_api::{Params, Sampler};
use fresco_diffusion::{Device, Observer, Pipeline, RunError, Silent, Source, Stage};
use fresco_tests::golden::relative_error;
use serde::Deserialize;
use std::{collections::BTreeMap, ops::ControlFlow};

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    prompt: String,
    negative_prompt: String,
    seed: u64,
    steps: u32,
    guidance_scale: f32,
    height: u32,
    width: u32,
}

fn runs() -> BTreeMap<String, BTreeMap<String, Run>> {
    serde_json::from_slice(golden!("pictures.json")).expect("the golden is whole")
}

fn params(run: Run) -> Params {
    Params {
        prompt: run.prompt,
        negative_prompt: run.negative_prompt,
        width: run.width,
        height: run.height,
        steps: run.steps,
        guidance_scale: run.guidance_scale,
        sampler: Sampler::Euler,
        seed: run.seed,
        model: "golden".into(),
        ..Default::default()
    }
}

/// The pixels of model A's first run, with the model read from `source`.
pub async fn first_of_a(source: &impl Source, on: &Device) -> Vec<u8> {
    first_run(&Pipeline::load(source, on, &mut Silent).await.expect("it loads")).await
}

/// The pixels of model A's first run.
pub async fn first_run(pipeline: &Pipeline) -> Vec<u8> {
    let run = runs()["a"].values().next().expect("there is a run").clone();
    pipeline.generate(&params(run), &mut Silent).await.expect("it runs").picture.rgb
}

pub async fn whole(on: &Device) {
    let runs = runs();
    for model in models() {
        let pipeline = Pipeline::load(&model.folder, on, &mut Silent).await.expect("it loads");
        for (name, run) in &runs[model.name] {
            let what = format!("{} {name}", model.name);
            let output = pipeline.generate(&params(run.clone()), &mut Silent).await.expect("it runs");
            let expected = model.picture.values(&format!("{name}.final_latents"));
            let error = relative_error(&output.latents.values, &expected);
            assert!(error <= RUN, "{what}: latents are off by {error:.1e}");
            assert_eq!((output.picture.width, output.picture.height), (run.width, run.height), "{what}");
            let expected = model.picture.bytes(&format!("{name}.image"));
            assert_eq!(output.picture.rgb.len(), expected.len());
            let worst = output.picture.rgb.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(1), "{what}: a pixel is off by {worst:?}");
        }
    }
}

/// Stops at the second step and remembers what it saw.
#[derive(Default)]
struct Stopper {
    seen: Vec<Stage>,
}

impl Observer for Stopper {
    async fn reached(&mut self, stage: Stage) -> ControlFlow<()> {
        self.seen.push(stage);
        if matches!(stage, Stage::Step { step: 2, .. }) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

pub async fn cancel(on: &Device) {
    let [model, _] = models();
    let pipeline = Pipeline::load(&model.folder, on, &mut Silent).await.expect("it loads");
    let run = runs()[model.name]["guided"].clone();
    let mut stopper = Stopper::default();
    let outcome = pipeline.generate(&params(run), &mut stopper).await;
    assert!(matches!(outcome, Err(RunError::Cancelled)), "{outcome:?}");
    let of = 4;
    let steps = [0, 1, 2].map(|step| Stage::Step { step, of });
    assert_eq!(stopper.seen, [&[Stage::Encoding], steps.as_slice()].concat());
}

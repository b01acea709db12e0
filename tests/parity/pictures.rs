//! Whole runs: the same prompt and seed give the reference's picture.

use crate::{
    RUN,
    files::{golden, models},
};
use fresco_api::{Params, Sampler};
use fresco_diffusion::{Device, Observer, Output, Picture, Pipeline, RunError, Silent, Source, Stage};
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
    first_output(pipeline, "a").await.picture.rgb
}

/// What a model's first run gives.
pub async fn first_output(pipeline: &Pipeline, model: &str) -> Output {
    pipeline.generate(&first_params(model), &mut Silent).await.expect("it runs")
}

/// The parameters of a model's first run.
pub fn first_params(model: &str) -> Params {
    params(runs()[model].values().next().expect("there is a run").clone())
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

/// Wants a preview at every step but the first, and keeps them.
#[derive(Default)]
struct Watcher {
    asked: u32,
    steps: u32,
    seen: Vec<(u32, Picture)>,
}

impl Observer for Watcher {
    async fn reached(&mut self, stage: Stage) -> ControlFlow<()> {
        if let Stage::Step { step, .. } = stage {
            self.steps = step;
        }
        ControlFlow::Continue(())
    }

    fn wants_preview(&mut self) -> bool {
        self.asked += 1;
        self.asked > 1
    }

    async fn preview(&mut self, picture: Picture) {
        self.seen.push((self.steps, picture));
    }
}

/// Previews have a pixel a latent position, come when they are wanted, and change nothing.
pub async fn previews(on: &Device) {
    let [model, _] = models();
    let pipeline = Pipeline::load(&model.folder, on, &mut Silent).await.expect("it loads");
    let run = runs()[model.name]["guided"].clone();
    let params = params(run);
    let mut watcher = Watcher::default();
    let watched = pipeline.generate(&params, &mut watcher).await.expect("it runs");
    let quiet = pipeline.generate(&params, &mut Silent).await.expect("it runs");
    assert_eq!(watched, quiet);
    assert_eq!(watcher.asked, params.steps - 1, "the last step's picture is the finished one");
    assert_eq!(watcher.seen.iter().map(|(step, _)| *step).collect::<Vec<_>>(), (2..params.steps).collect::<Vec<_>>());
    let factor = pipeline.facts().latent_factor;
    for (_, picture) in &watcher.seen {
        assert_eq!((picture.width, picture.height), (params.width / factor, params.height / factor));
        assert_eq!(picture.rgb.len() as u32, picture.width * picture.height * 3);
    }
}

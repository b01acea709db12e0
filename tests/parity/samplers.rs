//! Every sampler against diffusers' scheduler of that name: timesteps, noise levels, runs with a model
//! that is a formula, and whole pictures.

use crate::{
    BLOCK, RUN,
    files::{a, golden, models},
};
use fresco_api::{ApiError, Params, Sampler, SigmaSchedule};
use fresco_diffusion::{
    Device, Mask, Observer, Picture, Pipeline, RunError, Silent, Stage, Start,
    noise::Generator,
    schedule::{Schedule, ScheduleConfig, Settings, build},
};
use fresco_tests::golden::{Golden, relative_error};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// Seeds of the initial noise and of the run's own.
const SEEDS: (u64, u64) = (3, 5);

#[derive(Deserialize)]
struct Cases {
    shape: [usize; 4],
    clean: f32,
    noise: f32,
    cases: Vec<Case>,
    pictures: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Case {
    sampler: Sampler,
    #[serde(default)]
    scheduler: SigmaSchedule,
    config: Value,
    steps: usize,
    #[serde(default)]
    eta: f32,
    #[serde(default)]
    tokens: usize,
    #[serde(default)]
    first: usize,
}

/// What the reference made of a case.
struct Made<'a> {
    timesteps: &'a [f32],
    noise_scale: f32,
    noised: &'a [f32],
    latents: &'a [f32],
}

fn cases() -> Cases {
    serde_json::from_slice(golden!("samplers.json")).expect("the golden is whole")
}

/// A folder's configuration; betas are Stable Diffusion's.
fn config(of: &Value) -> ScheduleConfig {
    let mut all = json!({"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"});
    let all_of = all.as_object_mut().expect("it is an object");
    all_of.extend(of.as_object().expect("it is an object").clone());
    serde_json::from_value(all).expect("it is a configuration")
}

impl Case {
    fn schedule(&self) -> Box<dyn Schedule + Send> {
        let Self { steps, scheduler, eta, tokens, .. } = *self;
        let settings = Settings { steps, scheduler, eta, tokens };
        build(self.sampler, &config(&self.config), &settings).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

/// Hands each case with its schedule and what the reference made of it to `check`.
fn each(mut check: impl FnMut(&Cases, &Case, Box<dyn Schedule + Send>, Made<'_>)) {
    let (all, golden) = (cases(), Golden::new(golden!("samplers.safetensors")));
    assert!(all.cases.len() >= 185);
    let values = golden.values("values");
    let size: usize = all.shape.iter().product();
    let mut rest = values.as_slice();
    for case in &all.cases {
        let schedule = case.schedule();
        let n = schedule.evaluations();
        let (mine, others) = rest.split_at(2 * n + 1 + size);
        let (timesteps, mine) = mine.split_at(n);
        let (noised, latents) = mine[1..].split_at(n);
        check(&all, case, schedule, Made { timesteps, noise_scale: mine[0], noised, latents });
        rest = others;
    }
    assert!(rest.is_empty(), "the reference has more evaluations");
}

pub async fn levels(_: &Device) {
    each(|all, case, schedule, made| {
        let n = schedule.evaluations();
        let timesteps: Vec<f32> = (0..n).map(|evaluation| schedule.timestep(evaluation)).collect();
        let error = relative_error(&timesteps, made.timesteps);
        assert!(error <= 1e-6, "{case:?}: timesteps {timesteps:?}, not {:?}", made.timesteps);
        let error = relative_error(&[schedule.noise_scale()], &[made.noise_scale]);
        assert!(error <= 1e-6, "{case:?}: the noise scale is off by {error:.1e}");
        let noised: Vec<f32> = (0..n).map(|evaluation| schedule.noised(evaluation, all.clean, all.noise)).collect();
        for (ours, reference) in noised.iter().zip(made.noised) {
            let error = (ours - reference).abs() / reference.abs().max(1.0);
            assert!(error <= 1e-6, "{case:?}: noised {noised:?}, not {:?}", made.noised);
        }
        assert_eq!(schedule.noised(n, all.clean, all.noise), all.clean, "{case:?}: nothing is left at the end");
        assert_eq!(schedule.steps(), case.steps);
        assert_eq!((schedule.done(0), schedule.done(n)), (0, case.steps), "{case:?}: the user's steps");
    });
}

pub async fn runs(_: &Device) {
    let mut worst = 0.0;
    each(|all, case, mut schedule, made| {
        let size: usize = all.shape.iter().product();
        let mut latents = Generator::new(SEEDS.0).normal(size);
        latents.iter_mut().for_each(|x| *x *= schedule.noise_scale());
        let mut generator = Generator::new(SEEDS.1);
        for evaluation in schedule.begins(case.first)..schedule.evaluations() {
            let (scale, t) = (schedule.input_scale(evaluation), schedule.timestep(evaluation));
            let model: Vec<f32> = latents.iter().map(|x| (0.7 * x * scale).sin() + 0.001 * t).collect();
            schedule.advance(evaluation, &model, &mut latents, &mut generator);
        }
        let error = relative_error(&latents, made.latents);
        assert!(error <= BLOCK / 10.0, "{case:?}: off by {error:.1e}");
        worst = f64::max(worst, error);
    });
    println!("the worst run of a sampler is off by {worst:.1e}");
}

/// The field at fault, of a folder or of a request.
fn refused(sampler: Sampler, scheduler: SigmaSchedule, steps: usize, of: &Value) -> Option<String> {
    let settings = Settings { scheduler, ..Settings::steps(steps) };
    let error = build(sampler, &config(of), &settings).err().unwrap_or_else(|| panic!("{sampler} {of} is accepted"));
    ApiError::from(error).field
}

pub async fn refusals(_: &Device) {
    use Sampler::{Ddim, Euler, Heun, Lcm, Plms, UniPc};
    let (plain, flow) = (json!({}), json!({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}));
    let cases = [
        ("steps", refused(Lcm, SigmaSchedule::Default, 51, &plain)),
        ("steps", refused(Euler, SigmaSchedule::Default, 0, &plain)),
        ("steps", refused(Ddim, SigmaSchedule::Default, 1001, &plain)),
        ("scheduler", refused(Plms, SigmaSchedule::Karras, 4, &plain)),
        ("scheduler", refused(Euler, SigmaSchedule::Leading, 4, &flow)),
        ("scheduler", refused(UniPc, SigmaSchedule::Karras, 4, &flow)),
        ("sampler", refused(Heun, SigmaSchedule::Default, 4, &flow)),
        ("sampler", refused(Euler, SigmaSchedule::Default, 4, &json!({"use_lu_lambdas": true}))),
        ("sampler", refused(Euler, SigmaSchedule::Default, 4, &json!({"steps_offset": 1000}))),
        ("sampler", refused(Euler, SigmaSchedule::Default, 4, &json!({"shift": -1.0}))),
    ];
    for (expected, field) in cases {
        assert_eq!(field.as_deref(), Some(expected));
    }
}

/// The folder's own scheduler is the default sampler.
pub async fn folders(on: &Device) {
    let cases = [
        ("EulerDiscreteScheduler", json!({}), Sampler::Euler),
        ("EulerAncestralDiscreteScheduler", json!({}), Sampler::EulerAncestral),
        ("HeunDiscreteScheduler", json!({}), Sampler::Heun),
        ("DPMSolverMultistepScheduler", json!({"algorithm_type": "dpmsolver++"}), Sampler::Dpmpp2m),
        ("DPMSolverMultistepScheduler", json!({"algorithm_type": "sde-dpmsolver++"}), Sampler::Dpmpp2mSde),
        ("DPMSolverSDEScheduler", json!({}), Sampler::DpmppSde),
        ("DDIMScheduler", json!({}), Sampler::Ddim),
        ("PNDMScheduler", json!({"skip_prk_steps": true, "set_alpha_to_one": false}), Sampler::Plms),
        ("UniPCMultistepScheduler", json!({}), Sampler::UniPc),
        ("LCMScheduler", json!({}), Sampler::Lcm),
        ("FlowMatchEulerDiscreteScheduler", json!({"shift": 3.0}), Sampler::Euler),
        ("LMSDiscreteScheduler", json!({}), Sampler::Euler),
    ];
    for (class, mut of, sampler) in cases {
        of["_class_name"] = json!(class);
        let config = config(&of);
        config.check().unwrap_or_else(|error| panic!("{class}: {error}"));
        assert_eq!(config.sampler(), sampler, "{class}");
        assert!(config.supports(sampler), "{class}");
        assert!(build(sampler, &config, &Settings::steps(4)).is_ok(), "{class}");
    }
    let endless = r#"{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity}"#;
    assert_eq!(ScheduleConfig::parse(endless).expect("it is read").sampler(), Sampler::Dpmpp2m);
    let mut folder = a().folder;
    let text = String::from_utf8(folder.file("scheduler/scheduler_config.json").clone()).expect("it is text");
    *folder.file("scheduler/scheduler_config.json") = text.replace("EulerDiscrete", "PNDM").into_bytes();
    let facts = Pipeline::inspect(&folder).await.expect("it is a model");
    assert_eq!((facts.sampler, facts.samplers.len()), (Sampler::Plms, Sampler::ALL.len()));
    let pipeline = Pipeline::load(&folder, on, &mut Silent).await.expect("it loads");
    assert_eq!(pipeline.facts().sampler, Sampler::Plms);
}

fn params(sampler: Sampler, scheduler: SigmaSchedule, side: u32) -> Params {
    Params {
        prompt: "a red house beside a frozen lake at sunset, highly detailed".to_owned(),
        negative_prompt: "blurry, rainy day".to_owned(),
        width: side,
        height: side,
        steps: 5,
        guidance_scale: 5.0,
        sampler,
        scheduler,
        seed: 11,
        model: "golden".into(),
        ..Default::default()
    }
}

pub async fn pictures(on: &Device) {
    let (names, golden) = (cases().pictures, Golden::new(golden!("samplers.safetensors")));
    assert!(names.len() >= 12);
    for model in models() {
        let pipeline = Pipeline::load(&model.folder, on, &mut Silent).await.expect("it loads");
        let [height, width, _] = model.transform.shape("picture");
        let (width, height) = (width as u32, height as u32);
        let rgb = model.transform.bytes("picture").to_vec();
        let picture = Picture { width, height, rgb };
        let mask = Mask { width, height, repaint: model.transform.bytes("mask").to_vec() };
        for name in names.iter().filter(|name| name.starts_with(model.name)) {
            let parts: Vec<&str> = name.split('.').collect();
            let (sampler, scheduler) = (parts[1].parse().expect("a sampler"), parts[2].parse().expect("a scheduler"));
            let params = params(sampler, scheduler, width);
            let start = match parts[3] {
                "image" => Some(Start { picture: &picture, strength: 0.7, mask: None, style: None }),
                "inpaint" => Some(Start { picture: &picture, strength: 0.8, mask: Some(&mask), style: None }),
                _ => None,
            };
            let output = match &start {
                None => pipeline.generate(&params, &mut Silent).await,
                Some(start) => pipeline.transform(&params, start, &mut Silent).await,
            };
            let latents = output.expect("it runs").latents.values;
            let error = relative_error(&latents, &golden.values(name));
            println!("{name}: off by {error:.1e}");
            assert!(error <= RUN, "{name}: off by {error:.1e}");
        }
    }
}

/// Stops at a given stage of a run, counted from 0, and remembers the steps it was told of.
struct Stopper {
    left: usize,
    steps: Vec<u32>,
}

impl Observer for Stopper {
    async fn reached(&mut self, stage: Stage) -> ControlFlow<()> {
        if let Stage::Step { step, of } = stage {
            assert_eq!(of, 3, "the user's steps");
            self.steps.push(step);
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A step of two evaluations is one step, and a run stops between the two.
pub async fn cancel(on: &Device) {
    let [model, _] = models();
    let pipeline = Pipeline::load(&model.folder, on, &mut Silent).await.expect("it loads");
    let side = model.transform.shape::<3>("picture")[0] as u32;
    let heun = Params { steps: 3, ..params(Sampler::Heun, SigmaSchedule::Default, side) };
    let mut all = Stopper { left: 100, steps: Vec::new() };
    pipeline.generate(&heun, &mut all).await.expect("it runs");
    assert_eq!(all.steps, [0, 0, 1, 1, 2, 3]);
    // Encoding, the start, and the first of two evaluations.
    let mut stopper = Stopper { left: 3, steps: Vec::new() };
    let outcome = pipeline.generate(&heun, &mut stopper).await;
    assert!(matches!(outcome, Err(RunError::Cancelled)), "{outcome:?}");
    assert_eq!(stopper.steps, [0, 0]);
}

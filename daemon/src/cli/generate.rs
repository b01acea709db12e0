//! `fresco generate`.

use super::{Problem, extras::ExtraFiles, memory::Memory, pictures::Pictures, progress, say, source};
use crate::{
    clock::random_seed,
    engine::{DeviceChoice, Engine, EngineError, Made, Progress, Task, local},
};
use clap::Args;
use fresco_api::{ApiError, ImageRequest, Params, Post};
use fresco_diffusion::Latents;
use safetensors::{Dtype, tensor::TensorView};
use serde::Serialize;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Make one picture.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct Generate {
    /// What the picture shows.
    #[arg(long, value_name = "TEXT", required_unless_present = "style")]
    prompt: Option<String>,
    /// What it should not show.
    #[arg(long, value_name = "TEXT", default_value = "")]
    negative: String,
    /// A name of `fresco models list`, a model folder, or a checkpoint: .safetensors or .gguf.
    #[arg(long, value_name = "ID|PATH")]
    model: Option<String>,
    /// Denoising steps.
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// How closely to follow the prompt; 1 and below turns guidance off.
    #[arg(long, value_name = "G")]
    guidance: Option<f32>,
    /// The sampler; the model's own when left out. A1111's names are read too, as "DPM++ 2M Karras".
    #[arg(long, value_name = "S")]
    sampler: Option<String>,
    /// How noise levels lie: karras, exponential, sgm_uniform, beta, linspace, leading or trailing.
    #[arg(long, value_name = "S")]
    scheduler: Option<String>,
    /// How much fresh noise ddim adds, 0 to 1.
    #[arg(long, value_name = "E")]
    eta: Option<f32>,
    /// Whose random numbers a seed stands for: cpu, as diffusers and ComfyUI, or gpu, as A1111.
    #[arg(long, value_name = "cpu|gpu")]
    rng: Option<String>,
    /// The same seed gives the same picture.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Pixels.
    #[arg(long, value_name = "W")]
    width: Option<u32>,
    /// Pixels.
    #[arg(long, value_name = "H")]
    height: Option<u32>,
    /// Brightness of the finished picture; 1 leaves it as it is.
    #[arg(long, value_name = "F")]
    brightness: Option<f32>,
    /// Contrast of the finished picture; 1 leaves it as it is.
    #[arg(long, value_name = "F")]
    contrast: Option<f32>,
    /// Sharpness of the finished picture; 1 leaves it as it is.
    #[arg(long, value_name = "F")]
    sharpness: Option<f32>,
    /// Gaussian blur of the finished picture, in pixels.
    #[arg(long, value_name = "PIXELS")]
    blur: Option<f32>,
    /// Enlarges the finished picture 2 or 4 times.
    #[arg(long, value_name = "1|2|4")]
    upscale: Option<u32>,
    /// Leaves out the text encoder's last blocks, as A1111 counts: 2 leaves out one.
    #[arg(long, value_name = "N")]
    clip_skip: Option<u32>,
    #[command(flatten)]
    extras: ExtraFiles,
    #[command(flatten)]
    pictures: Pictures,
    /// What runs the model: auto, cpu, vulkan, cuda or metal.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    #[command(flatten)]
    memory: Memory,
    /// The PNG to write; `-` is stdout. Named by the seed when left out.
    #[arg(long, value_name = "FILE|-")]
    out: Option<PathBuf>,
    /// Write the final latents too: tensor `latents`, f32, [n, c, h, w].
    #[arg(long, value_name = "FILE.safetensors")]
    dump_latents: Option<PathBuf>,
    /// Print one line of JSON about the picture.
    #[arg(long)]
    json: bool,
}

/// The line of `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    file: &'a Path,
    seed: u64,
    parameters: &'a Params,
    time_taken: u64,
    device: &'a str,
}

impl Generate {
    pub(super) async fn run(self, home: &Path) -> Result<(), Problem> {
        if self.json && self.to_stdout() {
            return Err(Problem::usage("--json and --out - both write to stdout; choose one"));
        }
        let (catalogue, model, vae) = match self.extras.vae() {
            Some(vae) => {
                let (catalogue, model, weights) = source::find_with_vae(home, self.model.as_deref(), vae)?;
                (catalogue, model, Some(weights))
            }
            None => {
                let (catalogue, model) = source::find(home, self.model.as_deref())?;
                (catalogue, model, None)
            }
        };
        let extras = self.extras.given(vae)?;
        let task = self.pictures.task(self.request()?, &model.info, random_seed())?;
        let params = catalogue.noted(task.params, &extras)?;
        let task = Task { params: params.clone(), extras, pictures: task.pictures };
        let out = self.out.clone().unwrap_or_else(|| free_name(params.seed));
        for file in [Some(&out), self.dump_latents.as_ref()].into_iter().flatten() {
            check_place(file)?;
        }
        let engine = local::start_with(catalogue, self.device, self.memory.options())
            .map_err(|error| Problem::failed(format!("the engine cannot be started: {error}")))?;
        let started = Instant::now();
        let made = make(&engine, task).await?;
        self.deliver(&out, &params, &made, started.elapsed())
    }

    fn to_stdout(&self) -> bool {
        self.out.as_deref() == Some(Path::new("-"))
    }

    fn request(&self) -> Result<ImageRequest, ApiError> {
        Ok(ImageRequest {
            prompt: self.prompt.clone().unwrap_or_default(),
            negative_prompt: self.negative.clone(),
            width: self.width,
            height: self.height,
            steps: self.steps,
            guidance_scale: self.guidance,
            sampler: named("sampler", self.sampler.as_deref())?,
            scheduler: named("scheduler", self.scheduler.as_deref())?,
            eta: self.eta,
            rng: named("rng", self.rng.as_deref())?,
            clip_skip: self.clip_skip,
            loras: Vec::new(),
            seed: self.seed,
            post: self.post(),
            ..ImageRequest::default()
        })
    }

    fn post(&self) -> Post {
        Post {
            upscale: self.upscale,
            brightness: self.brightness,
            contrast: self.contrast,
            sharpness: self.sharpness,
            blur: self.blur,
        }
    }

    fn deliver(&self, out: &Path, params: &Params, made: &Made, took: Duration) -> Result<(), Problem> {
        let png = made.output.picture.png_with(params);
        if let Some(file) = &self.dump_latents {
            write(file, &latents_file(&made.output.latents)?)?;
        }
        if self.to_stdout() {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(&png).and_then(|()| stdout.flush());
            return written.map_err(|error| Problem::failed(format!("stdout: {error}")));
        }
        write(out, &png)?;
        let time_taken = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let summary = Summary { file: out, seed: params.seed, parameters: params, time_taken, device: &made.device };
        if self.json {
            let line = serde_json::to_string(&summary);
            say(line.map_err(|error| Problem::failed(format!("{}: {error}", out.display())))?);
        } else {
            say(format_args!("{} (seed {}, {:.1} s, {})", out.display(), params.seed, took.as_secs_f32(), made.device));
        }
        Ok(())
    }
}

/// An option that is one of several names.
fn named<T: FromStr<Err = String>>(field: &str, name: Option<&str>) -> Result<Option<T>, ApiError> {
    name.map(str::parse).transpose().map_err(|error| ApiError::field(field, error))
}

/// The picture, with progress on the terminal; Ctrl-C stops it at its next step, a second one at once.
async fn make(engine: &dyn Engine, task: Task) -> Result<Made, Problem> {
    let cancel = CancellationToken::new();
    let (progress, stages) = Progress::new(cancel.clone());
    let work = async { tokio::join!(engine.generate(task, progress), progress::show(stages)).0 };
    tokio::pin!(work);
    let made = tokio::select! {
        made = &mut work => made,
        Ok(()) = tokio::signal::ctrl_c() => {
            cancel.cancel();
            tokio::select! {
                made = &mut work => made,
                Ok(()) = tokio::signal::ctrl_c() => Err(EngineError::Cancelled),
            }
        }
    };
    made.map_err(|error| match error {
        EngineError::Cancelled => Problem::interrupted(),
        EngineError::Failed(error) => error.into(),
    })
}

/// `fresco-SEED.png`, or the next number that hides no picture.
fn free_name(seed: u64) -> PathBuf {
    let numbered = (2..10_000).map(|number| format!("fresco-{seed}-{number}.png"));
    let mut names = std::iter::once(format!("fresco-{seed}.png")).chain(numbered).map(PathBuf::from);
    names.find(|name| !name.exists()).unwrap_or_else(|| PathBuf::from(format!("fresco-{seed}.png")))
}

/// Whether a file could be written, asked before minutes are spent on a picture.
fn check_place(file: &Path) -> Result<(), Problem> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if file.is_dir() {
        return Err(Problem::failed(format!("{}: is a folder", file.display())));
    }
    if !folder.is_dir() {
        return Err(Problem::failed(format!("{}: the folder does not exist", file.display())));
    }
    Ok(())
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    fs::write(file, bytes).map_err(|error| Problem::failed(format!("{}: {error}", file.display())))
}

/// One tensor `latents`, f32, in NCHW order.
fn latents_file(latents: &Latents) -> Result<Vec<u8>, Problem> {
    let bytes: Vec<u8> = latents.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, latents.shape.to_vec(), &bytes);
    let file = view.and_then(|view| safetensors::serialize([("latents", view)], None));
    file.map_err(|error| Problem::failed(format!("the latents cannot be written: {error}")))
}

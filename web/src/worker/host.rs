//! Serves the page's commands: chooses the device once, loads the model on first use, runs one job at a time.

use super::{gpu, intake, local::LocalSource, observer::JobObserver, port, source::HttpSource};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fresco_api::{
    AnyRequest, ApiError, ErrorCode, ImageRequest, JobEvent, JobResult, Mode, ModelId, ModelInfo, Params, Request,
};
use fresco_diffusion::{
    Device, LoadError, LoadOptions, Output, Pipeline, RunError, Source, prompt,
    weights::{
        Precision,
        checkpoint::{Checkpoint, Nothing},
    },
};
use fresco_web::{
    DEFAULT_MODEL, fit,
    own::SINGLE,
    protocol::{Command, Compute, Report},
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use wasm_bindgen_futures::spawn_local;

/// The job that the page wants stopped.
pub type Cancelled = Rc<Cell<Option<u64>>>;

/// A loaded model with what the catalogue says about it.
struct Loaded {
    info: ModelInfo,
    pipeline: Pipeline,
}

/// Why a job ended without a picture.
enum Stop {
    Cancelled,
    Failed(ApiError),
}

/// Everything the worker holds.
#[derive(Default)]
pub struct Host {
    device: RefCell<Option<Device>>,
    gpu: Cell<bool>,
    loaded: RefCell<Option<Rc<Loaded>>>,
    cancelled: Cancelled,
    busy: Cell<bool>,
}

impl Host {
    /// Starts to serve, and tells the page.
    pub fn listen() {
        let host = Rc::new(Host::default());
        port::listen(move |command| host.clone().handle(command));
        port::report(&Report::Up);
    }

    fn handle(self: Rc<Self>, command: Command) {
        match command {
            Command::Start { compute } => spawn_local(async move { self.start(compute).await }),
            Command::Generate { job, request } => spawn_local(async move { self.run(job, *request).await }),
            Command::Cancel { job } => self.cancelled.set(Some(job)),
        }
    }

    async fn start(&self, compute: Compute) {
        match gpu::open(compute).await {
            Ok((device, info)) => {
                self.gpu.set(info.gpu);
                self.device.replace(Some(device));
                port::report(&Report::Ready { device: info });
            }
            Err(reason) => port::report(&Report::Fatal { reason }),
        }
    }

    async fn run(&self, job: u64, request: AnyRequest) {
        let event = if self.busy.replace(true) {
            let error = ApiError::new(ErrorCode::Busy, "The engine is at work on another picture");
            return port::report(&Report::Job { job, event: JobEvent::Failed { error } });
        } else {
            match self.generate(job, request).await {
                Ok(result) => JobEvent::Done { result: Box::new(result) },
                Err(Stop::Cancelled) => JobEvent::Cancelled,
                Err(Stop::Failed(error)) => JobEvent::Failed { error },
            }
        };
        self.busy.set(false);
        port::report(&Report::Job { job, event });
    }

    async fn generate(&self, job: u64, request: AnyRequest) -> Result<JobResult, Stop> {
        let started = js_sys::Date::now();
        let mut observer = JobObserver::new(job, self.cancelled.clone(), request.image().preview);
        check_loras(request.image())?;
        let id = request.image().model.clone().unwrap_or_else(|| DEFAULT_MODEL.into());
        let model = self.model(&id, &mut observer).await?;
        let (output, params) = match request {
            AnyRequest::Text2img(request) => {
                let params = request.resolve(&model.info, random_seed())?;
                (model.pipeline.generate(&params, &mut observer).await?, params)
            }
            AnyRequest::Img2img(request) => edit(&model, request, &mut observer).await?,
            AnyRequest::Inpaint(request) => edit(&model, request, &mut observer).await?,
            AnyRequest::StyleTransfer(request) => edit(&model, request, &mut observer).await?,
        };
        Ok(result(output, params, (js_sys::Date::now() - started) as u64))
    }

    /// A model, read when it is first asked for. It takes the place of the one before: two need not fit.
    async fn model(&self, id: &ModelId, observer: &mut JobObserver) -> Result<Rc<Loaded>, Stop> {
        if let Some(loaded) = self.loaded.borrow().clone().filter(|loaded| loaded.info.id == *id) {
            return Ok(loaded);
        }
        let device = self.device.borrow().clone();
        let device = device.ok_or_else(|| ApiError::new(ErrorCode::Device, "The engine has no device yet"))?;
        let loaded = if id.0 == DEFAULT_MODEL {
            let source = HttpSource::new(DEFAULT_MODEL);
            let info = source.info().await.map_err(LoadError::from)?;
            self.load(&source, info, &device, observer).await?
        } else {
            let source = LocalSource::open(id).await?;
            let info = source.info().clone();
            match source.is_single() {
                true => {
                    let seen = Checkpoint::open(&source, &[SINGLE.to_owned()], Nothing).await?;
                    self.load(&seen, info, &device, observer).await?
                }
                false => self.load(&source, info, &device, observer).await?,
            }
        };
        let loaded = Rc::new(loaded);
        self.loaded.replace(Some(loaded.clone()));
        Ok(loaded)
    }

    async fn load(
        &self,
        source: &impl Source,
        info: ModelInfo,
        device: &Device,
        observer: &mut JobObserver,
    ) -> Result<Loaded, Stop> {
        // Headers first: what cannot be loaded leaves the other model where it is.
        let facts = Pipeline::inspect(source).await?;
        self.loaded.replace(None);
        let halved = fit::halved(facts.bytes / 2, self.gpu.get());
        let precision = if halved { Precision::F16 } else { Precision::F32 };
        let options = LoadOptions { precision, ..LoadOptions::default() };
        let pipeline = Pipeline::load_with(source, device, options, observer).await?;
        // The autoencoder's own configuration decides which sizes fit.
        let facts = pipeline.facts();
        let (default_sampler, samplers) = (facts.sampler, facts.samplers.clone());
        let (flow, needs_mask, no_style) = (facts.flow, facts.extra_channels > 0, !facts.takes_style);
        let latent_factor = facts.latent_factor;
        let info = ModelInfo { latent_factor, default_sampler, samplers, flow, needs_mask, no_style, ..info };
        Ok(Loaded { info, pipeline })
    }
}

/// A request with pictures.
async fn edit<M: Mode>(
    model: &Loaded,
    request: Request<M>,
    observer: &mut JobObserver,
) -> Result<(Output, Params), Stop> {
    let (params, prepared) = intake::ready(request, &model.info, random_seed()).await?;
    Ok((model.pipeline.edit(&params, &prepared, observer).await?, params))
}

/// Said before a model is fetched.
fn check_loras(request: &ImageRequest) -> Result<(), ApiError> {
    let message = "LoRAs do not run in the tab yet: choose this machine, or take them out";
    if !request.loras.is_empty() {
        return Err(ApiError::field("loras", message));
    }
    match prompt::parse(&request.prompt).loras.is_empty() {
        true => Ok(()),
        false => Err(ApiError::field("prompt", message)),
    }
}

fn result(output: Output, params: Params, time_taken: u64) -> JobResult {
    let image = format!("data:image/png;base64,{}", STANDARD.encode(output.picture.png_with(&params)));
    JobResult { images: vec![image], seed: params.seed, parameters: params, time_taken, cached: false }
}

/// A seed of 32 bits: short enough to read out, and every other tool takes it.
fn random_seed() -> u64 {
    getrandom::u32().map(u64::from).unwrap_or(0)
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Stop::Failed(error)
    }
}

impl From<LoadError> for Stop {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Cancelled => Stop::Cancelled,
            other => Stop::Failed(other.into()),
        }
    }
}

impl From<RunError> for Stop {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Cancelled => Stop::Cancelled,
            other => Stop::Failed(other.into()),
        }
    }
}

//! The denoising loop: from a prompt to latents to a picture, once for every model and sampler.

use crate::{
    Latents, Observer, Output, Pipeline, RunError, Stage,
    model::Conditioning,
    noise::Generator,
    post,
    schedule::{self, Schedule, Settings},
    start::{self, Mask, Prepared, Start},
    style::{Style, StylePath},
    weights::tensor,
};
use burn::tensor::Tensor;
use fresco_api::{ApiError, Params};
use std::ops::ControlFlow;

impl Pipeline {
    /// One picture. Bounds were checked by [`fresco_api::ImageRequest::resolve`].
    ///
    /// Latents and schedule stay on the host, in f32: every engine makes the same roundings, and the
    /// prediction that is read back each step is what lets a browser breathe and a cancel work.
    ///
    /// # Errors
    /// The observer cancelled it, the device failed, or numbers overflowed.
    pub async fn generate(&self, params: &Params, observer: &mut impl Observer) -> Result<Output, RunError> {
        Ok(self.run(params, None, None, observer).await?.changed(params))
    }

    /// As [`Pipeline::generate`] or [`Pipeline::transform`], with prompts that [`Pipeline::condition`] read before:
    /// the text encoders need not be there any more.
    ///
    /// # Errors
    /// As [`Pipeline::transform`].
    pub async fn paint(
        &self,
        params: &Params,
        start: Option<&Start<'_>>,
        told: &Conditioning,
        observer: &mut impl Observer,
    ) -> Result<Output, RunError> {
        Ok(self.run(params, start, Some(told), observer).await?.changed(params))
    }

    /// One picture that starts from another: image to image, and with a mask inpainting.
    ///
    /// Outside the mask the result has exactly the original's pixels.
    ///
    /// # Errors
    /// As [`Pipeline::generate`]; or picture, mask and request differ in size, or the strength leaves
    /// no step.
    pub async fn transform(
        &self,
        params: &Params,
        start: &Start<'_>,
        observer: &mut impl Observer,
    ) -> Result<Output, RunError> {
        Ok(self.run(params, Some(start), None, observer).await?.changed(params))
    }

    /// What a request with pictures asks for: as [`Pipeline::transform`], and what was cut out is put back.
    ///
    /// # Errors
    /// As [`Pipeline::transform`].
    pub async fn edit(
        &self,
        params: &Params,
        prepared: &Prepared,
        observer: &mut impl Observer,
    ) -> Result<Output, RunError> {
        self.draw(params, Some(prepared), None, observer).await
    }

    /// What a request asks for, with its pictures if it has any, and with prompts that were read before if they were.
    ///
    /// # Errors
    /// As [`Pipeline::transform`].
    pub async fn draw(
        &self,
        params: &Params,
        prepared: Option<&Prepared>,
        told: Option<&Conditioning>,
        observer: &mut impl Observer,
    ) -> Result<Output, RunError> {
        let start = prepared.map(Prepared::start);
        let Output { picture, latents } = self.run(params, start.as_ref(), told, observer).await?;
        let picture = match prepared {
            Some(prepared) => prepared.finish(picture),
            None => picture,
        };
        Ok(Output { picture, latents }.changed(params))
    }

    async fn run(
        &self,
        params: &Params,
        start: Option<&Start<'_>>,
        told: Option<&Conditioning>,
        observer: &mut impl Observer,
    ) -> Result<Output, RunError> {
        let first = self.first_step(params, start)?;
        self.check_mask(start)?;
        self.facts().check_size(params.width, params.height).map_err(RunError::Request)?;
        let (height, width) = self.latent_size(params);
        let mut schedule =
            schedule::build(params.sampler, self.schedule_config(), &Settings::of(params, height, width))
                .map_err(|error| RunError::Request(error.into()))?;
        reached(observer, Stage::Encoding).await?;
        let told = match told {
            Some(told) => told.clone(),
            None => self.condition(params)?,
        };
        let begins = schedule.begins(first);
        let mut generator = Generator::of(params.rng, params.seed);
        // The reference samples the posterior before it draws the noise, and what the mask leaves after it.
        let origin = match start {
            Some(start) => self.encode(start, first, &mut generator).await?,
            None => None,
        };
        let noise = self.noise(params, &mut generator);
        let beside = self.beside(params, start, schedule.evaluations() - begins, &mut generator).await?;
        let mut latents = begin(&noise, origin.as_ref(), begins, &*schedule);
        let of = params.steps - first as u32;
        reached(observer, Stage::Step { step: 0, of }).await?;
        for evaluation in begins..schedule.evaluations() {
            let prediction =
                self.predict(&latents, &beside, &*schedule, evaluation, &told, params.guidance_scale).await?;
            let seen = self.seen(observer, &*schedule, evaluation, &latents, &prediction);
            schedule.advance(evaluation, &prediction, &mut latents.values, &mut generator);
            if let Some(style) = &beside.style {
                style.pull(&mut latents.values, &*schedule, evaluation + 1);
            }
            if let Some(origin) = &origin {
                origin.put_back(&mut latents.values, &noise, &*schedule, evaluation + 1);
            }
            check(&latents.values, "a denoising step")?;
            // A step of two evaluations is told of after each: there too the run can be stopped.
            let step = schedule.done(evaluation + 1).saturating_sub(first) as u32;
            reached(observer, Stage::Step { step, of }).await?;
            if let Some(seen) = seen {
                self.show(&seen, observer).await?;
            }
        }
        reached(observer, Stage::Decoding).await?;
        let mut picture = self.decode(&latents).await?;
        if let Some((original, mask)) = start.and_then(|start| Some((start.picture, start.mask?))) {
            mask.paste_back(original, &mut picture);
        }
        Ok(Output { picture, latents })
    }

    /// The first step that is walked.
    fn first_step(&self, params: &Params, start: Option<&Start<'_>>) -> Result<usize, RunError> {
        let Some(start) = start else { return Ok(0) };
        let (size, flow) = ((params.width, params.height), self.schedule_config().is_flow());
        start.first_step(size, params.steps, flow).map_err(RunError::Request)
    }

    /// A model made for inpainting takes a mask and the picture around it, and knows nothing without them.
    fn check_mask(&self, start: Option<&Start<'_>>) -> Result<(), RunError> {
        if self.facts().extra_channels == 0 || start.is_some_and(|start| start.mask.is_some()) {
            return Ok(());
        }
        let message = "This model repaints a part of a picture: it needs a picture and a mask";
        Err(RunError::Request(ApiError::field("mask", message)))
    }

    /// The latents of a run's picture, and which of them may change; nothing where the reference begins
    /// with noise alone: a whole run of a model that is told the picture in other channels.
    async fn encode(
        &self,
        start: &Start<'_>,
        first: usize,
        generator: &mut Generator,
    ) -> Result<Option<Origin>, RunError> {
        let told = self.facts().extra_channels > 0 && start.mask.is_some();
        if told && first == 0 {
            return Ok(None);
        }
        let latents = self.latents(start::pixels(start.picture), start, Some(generator)).await?;
        let changes = start.mask.filter(|_| !told).map(|mask| mask.latents(self.facts().latent_factor));
        // Inpainting at full strength starts from noise alone; elsewhere something of the picture shines through.
        let shows = start.mask.is_none() || first > 0;
        Ok(Some(Origin { latents, changes, shows }))
    }

    /// Scaled latents of `pixels`, of the size of the run's picture: a sample of the posterior, its mean
    /// without a generator.
    async fn latents(
        &self,
        pixels: Vec<f32>,
        start: &Start<'_>,
        generator: Option<&mut Generator>,
    ) -> Result<Latents, RunError> {
        let (width, height) = (start.picture.width as usize, start.picture.height as usize);
        let moments = self.moments(tensor(pixels, [1, height, width, 3], self.device()));
        let [n, h, w, c] = moments.dims();
        let moments = read(moments.permute([0, 3, 1, 2])).await?;
        let mut latents = start::sample(&moments, [n, c / 2, h, w], generator);
        let (scaling, shift) = self.latent_scaling();
        latents.values.iter_mut().for_each(|x| *x = (*x - shift) * scaling);
        Ok(latents)
    }

    /// What the denoiser sees besides the latents, drawn in the reference's order.
    async fn beside(
        &self,
        params: &Params,
        start: Option<&Start<'_>>,
        evaluations: usize,
        generator: &mut Generator,
    ) -> Result<Beside, RunError> {
        let Some(start) = start else { return Ok(Beside::default()) };
        let extra = match start.mask {
            Some(mask) => self.masked(start, mask, generator).await?,
            None => None,
        };
        let style = match start.style {
            Some(style) => Some(self.style_path(params, start, style, evaluations, generator).await?),
            None => None,
        };
        Ok(Beside { extra, style })
    }

    /// The channels that an inpainting checkpoint takes behind the latents': the mask, and the latents of
    /// the picture without what the mask shows (Rombach et al. 2022, section 4.5).
    async fn masked(
        &self,
        start: &Start<'_>,
        mask: &Mask,
        generator: &mut Generator,
    ) -> Result<Option<Latents>, RunError> {
        if self.facts().extra_channels == 0 {
            // The reference encodes it here too, and its samplers' noise comes after.
            let factor = self.facts().latent_factor as usize;
            let positions = (mask.width as usize / factor) * (mask.height as usize / factor);
            generator.normal(self.latent_channels() * positions);
            return Ok(None);
        }
        let mut known = self.latents(start::masked_pixels(start.picture, mask), start, Some(generator)).await?;
        let mut values = mask.nearest(self.facts().latent_factor);
        values.append(&mut known.values);
        let [n, c, h, w] = known.shape;
        Ok(Some(Latents { shape: [n, c + 1, h, w], values }))
    }

    async fn style_path(
        &self,
        params: &Params,
        start: &Start<'_>,
        style: &Style,
        evaluations: usize,
        generator: &mut Generator,
    ) -> Result<StylePath, RunError> {
        if !self.denoiser().can_share() {
            let message = "This model cannot take over a style";
            return Err(RunError::Request(ApiError::field("styleImage", message)));
        }
        let clean = self.latents(start::pixels(&style.picture), start, None).await?;
        let noise = generator.normal(clean.values.len());
        let wordless = Params { prompt: String::new(), guidance_scale: 0.0, ..params.clone() };
        let told = self.condition(&wordless)?;
        Ok(StylePath { clean, noise, told, strength: style.strength.clamp(0.0, 1.0), evaluations })
    }

    /// Rows and columns of a picture's latents.
    fn latent_size(&self, params: &Params) -> (usize, usize) {
        let factor = self.facts().latent_factor;
        ((params.height / factor) as usize, (params.width / factor) as usize)
    }

    /// Unit noise of a picture's latents.
    fn noise(&self, params: &Params, generator: &mut Generator) -> Latents {
        let (height, width) = self.latent_size(params);
        let shape = [1, self.latent_channels(), height, width];
        Latents { shape, values: generator.normal(shape.iter().product()) }
    }

    /// The denoiser's prediction for NCHW latents, guided where `told` holds a negative prompt too.
    ///
    /// `extra` are the channels behind the latents' that a model made for inpainting takes, as they are: the
    /// schedule scales the latents only.
    async fn predict(
        &self,
        latents: &Latents,
        beside: &Beside,
        schedule: &dyn Schedule,
        evaluation: usize,
        told: &Conditioning,
        guidance_scale: f32,
    ) -> Result<Vec<f32>, RunError> {
        self.check_extra(latents, beside.extra.as_ref())?;
        let factor = schedule.input_scale(evaluation);
        let mut input: Vec<f32> = latents.values.iter().map(|x| x * factor).collect();
        input.extend(beside.extra.iter().flat_map(|extra| &extra.values));
        let [_, c, h, w] = latents.shape;
        let c = c + beside.extra.as_ref().map_or(0, |extra| extra.shape[1]);
        let x = tensor(input, [1, c, h, w], self.device()).permute([0, 2, 3, 1]);
        let n = told.batch();
        let x = x.expand([n, h, w, c]);
        let (x, told, shared) = match &beside.style {
            Some(style) => style.join(x, told, schedule, evaluation),
            None => (x, told.clone(), None),
        };
        let time = vec![schedule.timestep(evaluation); told.batch()];
        let y = self.denoiser().forward(self.kernels(), x, &time, &told, shared);
        let values = read(y.narrow(0, 0, n).permute([0, 3, 1, 2])).await?;
        if n < 2 {
            return Ok(values);
        }
        // Classifier-free guidance (Ho & Salimans 2022), in one batch of two.
        let (without, with) = values.split_at(values.len() / 2);
        Ok(without.iter().zip(with).map(|(without, with)| without + guidance_scale * (with - without)).collect())
    }

    /// Whether the channels behind the latents' are as many as the denoiser takes.
    fn check_extra(&self, latents: &Latents, extra: Option<&Latents>) -> Result<(), RunError> {
        let wanted = self.facts().extra_channels;
        let shape = [latents.shape[0], wanted, latents.shape[2], latents.shape[3]];
        if extra.map_or(wanted == 0, |extra| extra.shape == shape) {
            return Ok(());
        }
        let message = match wanted {
            0 => "This model takes no mask into its denoiser",
            _ => "This model repaints a part of a picture: it needs a picture and a mask",
        };
        Err(RunError::Request(ApiError::field("mask", message)))
    }
}

impl Output {
    /// With what the request wants done to the finished picture.
    fn changed(self, params: &Params) -> Self {
        Self { picture: post::apply(self.picture, &params.post), ..self }
    }
}

/// The latents of the picture that a run starts from.
struct Origin {
    latents: Latents,
    /// Which positions may change, of one channel; all when there is no mask.
    changes: Option<Vec<bool>>,
    /// Whether the run begins with it under the noise, and not with noise alone.
    shows: bool,
}

/// What the denoiser sees besides the latents.
#[derive(Default)]
struct Beside {
    /// Channels behind the latents'.
    extra: Option<Latents>,
    /// One more row of the batch.
    style: Option<StylePath>,
}

impl Origin {
    /// Puts the picture's latents, as noisy as for `evaluation`, wherever nothing may change.
    fn put_back(&self, values: &mut [f32], noise: &Latents, schedule: &dyn Schedule, evaluation: usize) {
        let Some(changes) = &self.changes else { return };
        let known = self.latents.values.iter().zip(&noise.values);
        for ((value, (clean, noise)), changes) in values.iter_mut().zip(known).zip(changes.iter().cycle()) {
            if !changes {
                *value = schedule.noised(evaluation, *clean, *noise);
            }
        }
    }
}

/// The latents before the first evaluation: noise alone, or the picture's with noise on them.
fn begin(noise: &Latents, origin: Option<&Origin>, evaluation: usize, schedule: &dyn Schedule) -> Latents {
    let scale = schedule.noise_scale();
    let values = match origin.filter(|origin| origin.shows) {
        None => noise.values.iter().map(|noise| noise * scale).collect(),
        Some(origin) => {
            let both = origin.latents.values.iter().zip(&noise.values);
            both.map(|(clean, noise)| schedule.noised(evaluation, *clean, *noise)).collect()
        }
    };
    Latents { shape: noise.shape, values }
}

fn check(values: &[f32], place: &'static str) -> Result<(), RunError> {
    if values.iter().all(|x| x.is_finite()) { Ok(()) } else { Err(RunError::NotFinite(place)) }
}

/// A tensor's values on the host.
pub(crate) async fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, RunError> {
    let data = x.into_data_async().await.map_err(|error| RunError::Device(error.to_string()))?;
    data.try_into_vec().map_err(|error| RunError::Device(format!("{error:?}")))
}

async fn reached(observer: &mut impl Observer, stage: Stage) -> Result<(), RunError> {
    match observer.reached(stage).await {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(RunError::Cancelled),
    }
}

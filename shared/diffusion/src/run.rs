//! The denoising loop: from a prompt to latents to a picture, once for every model and sampler.

use crate::{
    Latents, Observer, Output, Picture, Pipeline, RunError, Stage,
    model::clip::Layer,
    noise::Generator,
    prompt,
    schedule::{self, Schedule},
    start::{self, Start},
    weights::tensor,
};
use burn::tensor::Tensor;
use fresco_api::{ApiError, ErrorCode, Params};
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
        self.run(params, None, observer).await
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
        self.run(params, Some(start), observer).await
    }

    async fn run(
        &self,
        params: &Params,
        start: Option<&Start<'_>>,
        observer: &mut impl Observer,
    ) -> Result<Output, RunError> {
        let first = match start {
            Some(start) => start.first_step((params.width, params.height), params.steps).map_err(RunError::Request)?,
            None => 0,
        };
        reached(observer, Stage::Encoding).await?;
        let guidance = Guidance::of(params.guidance_scale);
        let context = self.context(params, guidance);
        let mut schedule = schedule::build(params.sampler, self.schedule_config(), params.steps as usize)
            .map_err(|error| RunError::Request(ApiError::new(ErrorCode::BadModel, error.to_string()).at("sampler")))?;
        let mut generator = Generator::new(params.seed);
        // The reference samples the posterior before it draws the noise.
        let origin = match start {
            Some(start) => Some(self.encode(start, &mut generator).await?),
            None => None,
        };
        let noise = self.noise(params, &mut generator);
        let mut latents = begin(&noise, origin.as_ref(), first, &*schedule);
        let of = params.steps - first as u32;
        reached(observer, Stage::Step { step: 0, of }).await?;
        for step in first..schedule.steps() {
            let prediction = self.predict(&latents, &*schedule, step, &context, guidance).await?;
            schedule.step(step, &prediction, &mut latents.values);
            if let Some(origin) = &origin {
                origin.put_back(&mut latents.values, &noise, &*schedule, step + 1);
            }
            check(&latents.values, "a denoising step")?;
            reached(observer, Stage::Step { step: (step - first) as u32 + 1, of }).await?;
        }
        reached(observer, Stage::Decoding).await?;
        let mut picture = self.decode(&latents).await?;
        if let Some((original, mask)) = start.and_then(|start| Some((start.picture, start.mask?))) {
            mask.paste_back(original, &mut picture);
        }
        Ok(Output { picture, latents })
    }

    /// A picture's latents, and which of them may change.
    async fn encode(&self, start: &Start<'_>, generator: &mut Generator) -> Result<Origin, RunError> {
        let (width, height) = (start.picture.width as usize, start.picture.height as usize);
        let pixels = start.picture.rgb.iter().map(|byte| f32::from(*byte) / 127.5 - 1.0).collect();
        let moments = self.encoder().forward(self.kernels(), tensor(pixels, [1, height, width, 3], self.device()));
        let [n, h, w, c] = moments.dims();
        let moments = read(moments.permute([0, 3, 1, 2])).await?;
        let mut latents = start::sample(&moments, [n, c / 2, h, w], generator);
        let (scaling, shift) = self.latent_scaling();
        latents.values.iter_mut().for_each(|x| *x = (*x - shift) * scaling);
        let changes = start.mask.map(|mask| mask.latents(self.facts().latent_factor));
        Ok(Origin { latents, changes })
    }

    /// Unit noise of a picture's latents.
    fn noise(&self, params: &Params, generator: &mut Generator) -> Latents {
        let factor = self.facts().latent_factor;
        let shape = [1, self.latent_channels(), (params.height / factor) as usize, (params.width / factor) as usize];
        Latents { shape, values: generator.normal(shape.iter().product()) }
    }

    /// The prompt's states; before them the negative prompt's when there is guidance.
    fn context(&self, params: &Params, guidance: Guidance) -> Tensor<3> {
        let texts = match guidance {
            Guidance::Off => vec![&params.prompt],
            Guidance::Scale(_) => vec![&params.negative_prompt, &params.prompt],
        };
        let prompts: Vec<_> = texts.into_iter().map(|text| prompt::parse(text)).collect();
        let windows = self.tokenizer().batch(&prompts, self.text().length());
        self.text().encode(self.kernels(), &windows, Layer::LAST).states
    }

    /// The denoiser's prediction for NCHW latents, guided.
    async fn predict(
        &self,
        latents: &Latents,
        schedule: &dyn Schedule,
        step: usize,
        context: &Tensor<3>,
        guidance: Guidance,
    ) -> Result<Vec<f32>, RunError> {
        let [_, c, h, w] = latents.shape;
        let factor = schedule.input_scale(step);
        let input: Vec<f32> = latents.values.iter().map(|x| x * factor).collect();
        let x = tensor(input, latents.shape, self.device()).permute([0, 2, 3, 1]);
        let n = context.dims()[0];
        let x = x.expand([n, h, w, c]);
        let time = vec![schedule.timestep(step); n];
        let y = self.denoiser().forward(self.kernels(), x, &time, context);
        let values = read(y.permute([0, 3, 1, 2])).await?;
        match guidance {
            Guidance::Off => Ok(values),
            Guidance::Scale(scale) => {
                let (without, with) = values.split_at(values.len() / 2);
                Ok(without.iter().zip(with).map(|(without, with)| without + scale * (with - without)).collect())
            }
        }
    }

    /// Latents to 8-bit pixels.
    async fn decode(&self, latents: &Latents) -> Result<Picture, RunError> {
        let (scaling, shift) = self.latent_scaling();
        let values = latents.values.iter().map(|x| x / scaling + shift).collect();
        let x = tensor(values, latents.shape, self.device()).permute([0, 2, 3, 1]);
        let pixels = self.decoder().forward(self.kernels(), x);
        let [_, height, width, _] = pixels.dims();
        let values = read(pixels).await?;
        check(&values, "the autoencoder")?;
        let rgb = values.iter().map(|x| to_byte(*x)).collect();
        Ok(Picture { width: width as u32, height: height as u32, rgb })
    }
}

/// Classifier-free guidance (Ho & Salimans 2022), in one batch of two.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Guidance {
    Off,
    Scale(f32),
}

impl Guidance {
    fn of(scale: f32) -> Self {
        if scale > 1.0 { Guidance::Scale(scale) } else { Guidance::Off }
    }
}

/// -1 to 1 becomes 0 to 255, rounded half to even as numpy does.
fn to_byte(x: f32) -> u8 {
    ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

/// The latents of the picture that a run starts from.
struct Origin {
    latents: Latents,
    /// Which positions may change, of one channel; all when there is no mask.
    changes: Option<Vec<bool>>,
}

impl Origin {
    /// Puts the picture's latents, as noisy as `step` is, wherever nothing may change.
    fn put_back(&self, values: &mut [f32], noise: &Latents, schedule: &dyn Schedule, step: usize) {
        let Some(changes) = &self.changes else { return };
        let known = self.latents.values.iter().zip(&noise.values);
        for ((value, (clean, noise)), changes) in values.iter_mut().zip(known).zip(changes.iter().cycle()) {
            if !changes {
                *value = schedule.noised(step, *clean, *noise);
            }
        }
    }
}

/// The latents before the first step: noise alone, or the picture's with noise on them.
fn begin(noise: &Latents, origin: Option<&Origin>, first: usize, schedule: &dyn Schedule) -> Latents {
    let scale = schedule.noise_scale();
    let values = match origin {
        None => noise.values.iter().map(|noise| noise * scale).collect(),
        Some(origin) => {
            let both = origin.latents.values.iter().zip(&noise.values);
            both.map(|(clean, noise)| schedule.noised(first, *clean, *noise)).collect()
        }
    };
    Latents { shape: noise.shape, values }
}

fn check(values: &[f32], place: &'static str) -> Result<(), RunError> {
    if values.iter().all(|x| x.is_finite()) { Ok(()) } else { Err(RunError::NotFinite(place)) }
}

async fn read(x: Tensor<4>) -> Result<Vec<f32>, RunError> {
    let data = x.into_data_async().await.map_err(|error| RunError::Device(error.to_string()))?;
    data.try_into_vec().map_err(|error| RunError::Device(format!("{error:?}")))
}

async fn reached(observer: &mut impl Observer, stage: Stage) -> Result<(), RunError> {
    match observer.reached(stage).await {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(RunError::Cancelled),
    }
}

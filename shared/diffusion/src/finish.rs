//! From latents to the picture: decoding, previews, and the choices that both leave open.

use crate::{
    Latents, Observer, Picture, Pipeline, RunError, Tiling,
    model::taesd,
    post,
    preview::{self, Projection},
    run::read,
    schedule::{Prediction, Schedule},
    tiles,
    weights::tensor,
};
use burn::tensor::Tensor;
use std::sync::OnceLock;

/// The longest side of a preview in pixels.
const PREVIEW_SIDE: u32 = 256;

/// How a pipeline finishes its pictures.
#[derive(Default)]
pub(crate) struct Finish {
    tiling: Tiling,
    fast: Option<(taesd::Decoder, FastDecoder)>,
    projection: OnceLock<Option<Projection>>,
}

/// What a fast decoder is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastDecoder {
    /// Only to show a run that is not finished.
    Previews,
    /// Also for the finished picture: quicker and with less memory, of lower quality.
    Everything,
}

impl Pipeline {
    /// Whether large pictures go through the autoencoder in tiles.
    pub fn set_tiling(&mut self, tiling: Tiling) {
        self.finish.tiling = tiling;
    }

    /// Lets a TAESD for the same latents decode from now on.
    pub fn set_fast_decoder(&mut self, decoder: taesd::Decoder, used: FastDecoder) {
        self.finish.fast = Some((decoder, used));
    }

    /// Lets the model's own decoder decode again, for previews too.
    pub fn clear_fast_decoder(&mut self) {
        self.finish.fast = None;
    }

    /// The moments of pictures `[n, h, w, 3]`, as [`crate::model::vae::Encoder::forward`].
    pub(crate) fn moments(&self, pictures: Tensor<4>) -> Tensor<4> {
        tiles::encode(self.kernels(), self.encoder(), pictures, self.finish.tiling)
    }

    /// Latents to 8-bit pixels.
    pub(crate) async fn decode(&self, latents: &Latents) -> Result<Picture, RunError> {
        match &self.finish.fast {
            Some((decoder, FastDecoder::Everything)) => self.decode_fast(decoder, latents).await,
            _ => self.decode_fully(latents).await,
        }
    }

    async fn decode_fully(&self, latents: &Latents) -> Result<Picture, RunError> {
        let (scaling, shift) = self.latent_scaling();
        let values = latents.values.iter().map(|x| x / scaling + shift).collect();
        let x = tensor(values, latents.shape, self.device()).permute([0, 2, 3, 1]);
        to_picture(tiles::decode(self.kernels(), self.decoder(), x, self.finish.tiling)).await
    }

    async fn decode_fast(&self, decoder: &taesd::Decoder, latents: &Latents) -> Result<Picture, RunError> {
        let x = tensor(latents.values.clone(), latents.shape, self.device()).permute([0, 2, 3, 1]);
        to_picture(decoder.forward(self.kernels(), x)).await
    }

    /// The clean latents that a prediction means, if the observer wants to see them.
    pub(crate) fn seen(
        &self,
        observer: &mut impl Observer,
        schedule: &dyn Schedule,
        step: usize,
        latents: &Latents,
        predicted: &[f32],
    ) -> Option<Latents> {
        // The last step's picture is the finished one.
        let wanted = schedule.done(step + 1) < schedule.steps() && observer.wants_preview();
        let config = self.schedule_config();
        let prediction = if config.is_flow() { Prediction::Flow } else { config.prediction_type };
        wanted.then(|| preview::clean(latents, predicted, schedule, step, prediction))
    }

    /// Shows the observer what `latents` look like.
    pub(crate) async fn show(&self, latents: &Latents, observer: &mut impl Observer) -> Result<(), RunError> {
        let picture = match &self.finish.fast {
            Some((decoder, _)) => Some(self.decode_fast(decoder, latents).await?),
            None => self.projection().await?.map(|projection| projection.picture(latents)),
        };
        if let Some(picture) = picture {
            observer.preview(small(picture)).await;
        }
        Ok(())
    }

    /// Fitted when it is first asked for; costs the decoding of a small picture.
    async fn projection(&self) -> Result<Option<&Projection>, RunError> {
        if let Some(known) = self.finish.projection.get() {
            return Ok(known.as_ref());
        }
        let probe = preview::probe(self.latent_channels());
        let fitted = Projection::fit(&probe, &self.decode_fully(&probe).await?);
        Ok(self.finish.projection.get_or_init(|| fitted).as_ref())
    }
}

/// A picture that is no larger than a preview may be.
fn small(picture: Picture) -> Picture {
    let longest = picture.width.max(picture.height);
    if longest <= PREVIEW_SIDE {
        return picture;
    }
    let side = |side: u32| (side * PREVIEW_SIDE / longest).max(1);
    post::resize(&picture, (side(picture.width), side(picture.height)))
}

async fn to_picture(pixels: Tensor<4>) -> Result<Picture, RunError> {
    let [_, height, width, _] = pixels.dims();
    let values = read(pixels).await?;
    if !values.iter().all(|x| x.is_finite()) {
        return Err(RunError::NotFinite("the autoencoder"));
    }
    let rgb = values.iter().map(|x| to_byte(*x)).collect();
    Ok(Picture { width: width as u32, height: height as u32, rgb })
}

/// -1 to 1 becomes 0 to 255, rounded half to even as numpy does.
fn to_byte(x: f32) -> u8 {
    ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

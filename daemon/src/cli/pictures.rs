//! The options of `fresco generate` that bring pictures.

use super::Problem;
use crate::{
    engine::Task,
    intake::{self, Ready},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::{Args, ValueEnum};
use fresco_api::{
    AnyRequest, ApiError, ImageRequest, Img2img, Inpaint, Mode, ModelInfo, Outpaint, Request, ResizeMode, StyleTransfer,
};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// A picture's file is no longer than this.
const MAX_FILE: u64 = 256 << 20;

/// Pictures to start from.
#[derive(Debug, Args)]
pub(super) struct Pictures {
    /// A picture to start from: PNG, JPEG or WebP.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// How much of it is made anew, above 0 to 1: 0.75, with a mask or a larger canvas 1.
    #[arg(long, value_name = "S", requires = "image", conflicts_with = "style")]
    strength: Option<f32>,
    /// Makes only the white of this picture anew, or what is transparent in it.
    #[arg(long, value_name = "FILE", requires = "image", conflicts_with = "style")]
    mask: Option<PathBuf>,
    /// Softens the mask's edge by so many pixels.
    #[arg(long, value_name = "N", requires = "image", conflicts_with = "style")]
    mask_blur: Option<f32>,
    /// Works on the mask and so many pixels around it at the model's size, and puts that back.
    #[arg(
        long,
        value_name = "PADDING",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "32",
        requires = "image",
        conflicts_with = "style"
    )]
    only_masked: Option<u32>,
    /// Grows the picture by so many pixels to the left, top, right and bottom.
    #[arg(long, value_name = "L,T,R,B", value_parser = sides, requires = "image", conflicts_with = "style")]
    outpaint: Option<Outpaint>,
    /// Inpaints what is transparent in the picture.
    #[arg(long, requires = "image", conflicts_with = "style")]
    transparent: bool,
    /// A picture whose style the other picture gets; the prompt may be left out then.
    #[arg(long, value_name = "FILE", requires = "image")]
    style: Option<PathBuf>,
    /// How much of the style, 0 to 1.
    #[arg(long, value_name = "S", requires = "style")]
    style_strength: Option<f32>,
    /// How much of the content stays, 0 to 1.
    #[arg(long, value_name = "C", requires = "style")]
    content_strength: Option<f32>,
    /// What the picture's proportions do when width and height are others.
    #[arg(long, value_name = "MODE", requires = "image")]
    resize: Option<Resize>,
}

/// [`ResizeMode`] as an option.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Resize {
    Stretch,
    Crop,
    Pad,
}

impl Pictures {
    /// What an engine is to do for `request` with these pictures.
    pub(super) fn task(&self, request: ImageRequest, model: &ModelInfo, seed: u64) -> Result<Task, Problem> {
        let Some(image) = &self.image else { return Ok(request.resolve(model, seed)?.into()) };
        self.check()?;
        let (image, resize_mode) = (base64(image), self.resize.map(ResizeMode::from));
        if let Some(style) = &self.style {
            let (style_strength, content_strength) = (self.style_strength, self.content_strength);
            let (content_image, style_image) = (image?, base64(style)?);
            let mode = StyleTransfer { content_image, style_image, style_strength, content_strength, resize_mode };
            return task(request, mode, model, seed);
        }
        if self.mask.is_none() && self.outpaint.is_none() && !self.transparent {
            return task(request, Img2img { init_image: image?, strength: self.strength, resize_mode }, model, seed);
        }
        let mode = Inpaint {
            image: image?,
            mask: self.mask.as_deref().map(base64).transpose()?,
            inpainting_strength: self.strength,
            mask_blur: self.mask_blur,
            only_masked: self.only_masked.map(|_| true),
            only_masked_padding: self.only_masked,
            outpaint: self.outpaint,
            resize_mode,
        };
        task(request, mode, model, seed)
    }

    /// The first option that needs a mask and has none.
    fn check(&self) -> Result<(), ApiError> {
        let masked = self.mask.is_some() || self.transparent;
        let lonely = [
            ("maskBlur", self.mask_blur.is_some() && self.outpaint.is_none()),
            ("onlyMasked", self.only_masked.is_some()),
        ];
        match lonely.into_iter().find(|(_, given)| *given && !masked) {
            Some((field, _)) => Err(ApiError::field(field, "There is no mask: say --mask FILE or --transparent")),
            None => Ok(()),
        }
    }
}

impl From<Resize> for ResizeMode {
    fn from(resize: Resize) -> Self {
        match resize {
            Resize::Stretch => ResizeMode::Stretch,
            Resize::Crop => ResizeMode::Crop,
            Resize::Pad => ResizeMode::Pad,
        }
    }
}

fn task<M: Mode>(image: ImageRequest, mode: M, model: &ModelInfo, seed: u64) -> Result<Task, Problem>
where
    AnyRequest: From<Request<M>>,
{
    let Ready { task, .. } = intake::ready(Request { image, mode }, model, seed)?;
    Ok(task)
}

/// A file as requests carry it.
fn base64(path: &Path) -> Result<String, Problem> {
    let problem = |reason: String| Problem::failed(format!("{}: {reason}", path.display()));
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(problem(error.to_string())),
        Ok(length) if length as u64 > MAX_FILE => Err(problem(format!("is longer than {} MiB", MAX_FILE >> 20))),
        Ok(0) => Err(problem("is empty".to_owned())),
        Ok(_) => Ok(BASE64_STANDARD.encode(bytes)),
    }
}

/// `L,T,R,B` in pixels.
fn sides(text: &str) -> Result<Outpaint, String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    match numbers.as_deref() {
        Ok([left, top, right, bottom]) => Ok(Outpaint { left: *left, top: *top, right: *right, bottom: *bottom }),
        _ => Err("four numbers are needed: left,top,right,bottom".to_owned()),
    }
}

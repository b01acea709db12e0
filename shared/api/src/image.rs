//! A stored picture as the history shows it, and what can be asked of it.

use crate::{Edit, ImageRequest, JobId, Params};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of a stored picture: a UUID of version 7, so that names sort by time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub String);

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The file formats of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ImageFormat {
    /// Without loss.
    #[serde(rename = "image/png")]
    Png,
    /// With a small loss.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// Without loss, as it is written here.
    #[serde(rename = "image/webp")]
    Webp,
}

impl ImageFormat {
    /// Every one there is.
    pub const ALL: &[ImageFormat] = &[ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Webp];

    /// The media type, as `image/png`.
    pub fn media_type(self) -> &'static str {
        match self {
            ImageFormat::Png => "image/png",
            ImageFormat::Jpeg => "image/jpeg",
            ImageFormat::Webp => "image/webp",
        }
    }

    /// The ending of a file's name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            ImageFormat::Png => "png",
            ImageFormat::Jpeg => "jpg",
            ImageFormat::Webp => "webp",
        }
    }

    /// The format with this media type.
    pub fn of_media_type(name: &str) -> Option<Self> {
        ImageFormat::ALL.iter().copied().find(|format| format.media_type().eq_ignore_ascii_case(name))
    }
}

/// A stored picture. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredImage {
    /// Its name.
    pub id: ImageId,
    /// The job that made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job_id: Option<JobId>,
    /// Which of the job's pictures it is, from 0.
    pub position: u32,
    /// The path of its file.
    pub url: String,
    /// The stored file's format.
    pub media_type: ImageFormat,
    /// The stored file's length.
    pub bytes: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// When it was stored.
    pub created_at: String,
    /// Whether it was marked; such pictures are never removed for age or room.
    pub favourite: bool,
    /// Its tags, in order.
    pub tags: Vec<String>,
    /// The complete parameters; sending them again gives the same picture.
    pub parameters: Params,
}

/// A page of the history, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImagePage {
    /// The pictures.
    pub images: Vec<StoredImage>,
    /// What to ask the next page with; there is none after the last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_cursor: Option<String>,
}

/// What is to be changed about a stored picture. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageChange {
    /// Whether it is a favourite.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub favourite: Option<bool>,
    /// All of its tags.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<String>>,
}

/// The pictures that an export is to hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportRequest {
    /// Their names.
    pub ids: Vec<ImageId>,
}

/// An address by which a picture's file can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageUrl {
    /// At the store that holds the file, or a path of this server's.
    pub url: String,
    /// When it ends; a path of this server's does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<String>,
}

/// Who wrote the settings that a picture's file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingsSource {
    /// We did, as JSON: nothing is lost.
    Fresco,
    /// A1111 or a program that writes as it does, in its text form.
    Infotext,
}

/// What a picture's file says about how it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The file's format.
    pub media_type: ImageFormat,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Who wrote the settings, when there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<SettingsSource>,
    /// A request that makes the picture again, as far as the file says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<ImageRequest>,
    /// What was done with other pictures; they are named by their files' hashes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub edit: Option<Edit>,
    /// Every setting of the text form, in its order, as it stands there.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub settings: Vec<Setting>,
}

/// One setting of the text form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// As `CFG scale`.
    pub name: String,
    /// As `7`.
    pub value: String,
}

impl From<&Params> for ImageRequest {
    /// The request that gives these parameters again, but for pictures it starts from.
    fn from(params: &Params) -> Self {
        let scheduler = (!params.scheduler.is_default()).then_some(params.scheduler);
        Self {
            prompt: params.prompt.clone(),
            negative_prompt: params.negative_prompt.clone(),
            width: Some(params.width),
            height: Some(params.height),
            steps: Some(params.steps),
            guidance_scale: Some(params.guidance_scale),
            sampler: Some(params.sampler.into()),
            scheduler,
            eta: (params.eta != 0.0).then_some(params.eta),
            rng: (!params.rng.is_default()).then_some(params.rng),
            clip_skip: params.clip_skip,
            loras: params.loras.clone(),
            seed: Some(params.seed),
            model: Some(params.model.clone()),
            post: params.post,
            ..Self::default()
        }
    }
}

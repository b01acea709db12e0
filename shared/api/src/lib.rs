//! The words that the page, the daemon and the engines share: requests, jobs, events, models, errors.
//!
//! Serde types only, and the catalogue of published models as data. The crate depends on nothing else of this project
//! and compiles for wasm32.
//! Everything on the wire is camel case.

mod batch;
mod error;
mod event;
mod image;
mod infotext;
mod job;
pub mod limits;
mod lora;
mod model;
mod post;
pub mod published;
mod pull;
mod request;
mod rng;
pub mod routes;
mod sampler;
mod sigmas;

pub use batch::{AbVariant, Axis, Batch, BatchId, BatchPlan, BatchRequest, ChainStep, Child, MAX_BATCH, Size};
pub use error::{ApiError, ErrorCode};
pub use event::{FeedEvent, JobEvent};
pub use image::{
    ExportRequest, ImageChange, ImageFormat, ImageId, ImagePage, ImageUrl, Inspection, Setting, SettingsSource,
    StoredImage,
};
pub use infotext::Infotext;
pub use job::{Health, Job, JobId, JobKind, JobResult, JobStatus, Priority, QueueStatus};
pub use lora::{FileKind, Lora, UsedFile, is_plain_name};
pub use model::{ModelId, ModelInfo};
pub use post::Post;
pub use pull::{ModelFile, Pull, PullStatus};
pub use request::{
    AnyRequest, Edit, ImageRequest, Img2img, Inpaint, Mode, Outpaint, Params, PictureForm, Request, ResizeMode,
    StyleTransfer, walked_steps,
};
pub use rng::Rng;
pub use sampler::{Sampler, SamplerName};
pub use sigmas::SigmaSchedule;

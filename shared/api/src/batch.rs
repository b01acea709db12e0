//! Many pictures from one request: the plans that a batch can follow, and how far it is.

mod plan;

pub use plan::Child;

use crate::{ImageRequest, Job, JobStatus, ModelId, SamplerName, SigmaSchedule};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most jobs of a batch.
pub const MAX_BATCH: usize = 1_000;

/// The name of a batch; unique, and sorted by time of creation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub String);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `POST /generate/batch`: `{"request": {"prompt": "a tent"}, "plan": {"type": "seeds", "count": 4}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchRequest {
    /// What all pictures have in common.
    pub request: ImageRequest,
    /// How they differ.
    pub plan: BatchPlan,
}

/// How the pictures of a batch differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum BatchPlan {
    /// The same with other seeds: those of `seeds`, else `count` from the request's own on.
    Seeds {
        /// Pictures, when there is no list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u32>,
        /// The seeds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        seeds: Vec<u64>,
    },
    /// Every combination of the lists' values.
    Sweep {
        /// The lists; the last one changes fastest.
        axes: Vec<Axis>,
    },
    /// Every style in every size. A style is appended to the prompt, or takes the place of `{style}` in it.
    Variants {
        /// The styles; none is the prompt as it is.
        #[serde(default)]
        styles: Vec<String>,
        /// The sizes; none is the request's own.
        #[serde(default)]
        sizes: Vec<Size>,
    },
    /// Variants to choose from, named A, B, C and so on, all with one seed.
    Ab {
        /// What each changes.
        variants: Vec<AbVariant>,
    },
    /// One picture after the other, each made from the one before; the first from the prompt alone.
    Refine {
        /// How often the picture is worked over.
        rounds: u32,
        /// How much each round makes anew, above 0 to 1.
        strength: f32,
    },
    /// A quick draft, then better ones made from it.
    Chain {
        /// The steps of the chain, the draft first.
        stages: Vec<ChainStep>,
    },
}

/// One list of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "field", content = "values", rename_all = "camelCase")]
pub enum Axis {
    /// Prompts.
    Prompt(Vec<String>),
    /// Seeds.
    Seed(Vec<u64>),
    /// Denoising steps.
    Steps(Vec<u32>),
    /// Guidance scales.
    GuidanceScale(Vec<f32>),
    /// Samplers.
    Sampler(Vec<SamplerName>),
    /// Noise levels.
    Scheduler(Vec<SigmaSchedule>),
    /// Catalogue entries.
    Model(Vec<ModelId>),
    /// Sizes.
    Size(Vec<Size>),
}

/// A size in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// What a variant changes; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AbVariant {
    /// Another prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Another negative prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    /// Another number of steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Another guidance scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance_scale: Option<f32>,
    /// Another sampler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerName>,
    /// Another model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// Another seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// A stage of a chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ChainStep {
    /// Its size; the request's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Its steps; the request's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Its model; the request's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// How much of the stage before is made anew, above 0 to 1; 0.5 when left out. The draft has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f32>,
}

/// A batch as `GET /batches/{id}` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// Where it is: of its jobs' states the one that is least finished; when all have ended, `completed` if all
    /// are, else `failed` if one has, else `cancelled`.
    pub status: JobStatus,
    /// What was asked.
    pub request: BatchRequest,
    /// When it was accepted, RFC 3339 in UTC.
    pub created_at: String,
    /// Per cent, 0 to 100: the mean of its jobs, one that ended counting as 100.
    pub progress: u8,
    /// Its jobs in their order, without pictures' bytes.
    pub jobs: Vec<Job>,
}

impl Batch {
    /// The state and the progress of a batch with these jobs.
    pub fn summary(jobs: &[Job]) -> (JobStatus, u8) {
        let any = |status| jobs.iter().any(|job| job.status == status);
        let status = if any(JobStatus::Processing) {
            JobStatus::Processing
        } else if any(JobStatus::Queued) {
            // Between two of its jobs it still is at work.
            if jobs.iter().any(|job| job.status.is_final()) { JobStatus::Processing } else { JobStatus::Queued }
        } else if any(JobStatus::Failed) {
            JobStatus::Failed
        } else if any(JobStatus::Cancelled) {
            JobStatus::Cancelled
        } else {
            JobStatus::Completed
        };
        let done = |job: &Job| if job.status.is_final() { 100 } else { u64::from(job.progress) };
        let sum: u64 = jobs.iter().map(done).sum();
        (status, sum.checked_div(jobs.len() as u64).unwrap_or(100) as u8)
    }
}

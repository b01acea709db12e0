//! Models on their way to the daemon's disk, and the files of those that are there.

use crate::{ApiError, ModelId};
use serde::{Deserialize, Serialize};

/// Where a fetch is in its life; the last three are final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullStatus {
    /// Another one goes first.
    #[default]
    Waiting,
    /// Files come.
    Running,
    /// The model can be used.
    Done,
    /// It has an error; what came is kept for the next try.
    Failed,
    /// Somebody stopped it; what came is kept for the next try.
    Cancelled,
}

impl PullStatus {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, PullStatus::Done | PullStatus::Failed | PullStatus::Cancelled)
    }
}

/// A model that is fetched. There is at most one of a model at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    /// The catalogue entry.
    pub id: ModelId,
    /// Where it is.
    pub status: PullStatus,
    /// Bytes that are there, of all files.
    pub received: u64,
    /// Bytes of all files; 0 until the hub has listed them.
    pub total: u64,
    /// What went wrong, once it has failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ApiError>,
}

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFile {
    /// Its path in the model's folder, with `/` between parts.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 in hexadecimal digits, where it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// Git's name of its content in hexadecimal digits, where that is all that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub git: Option<String>,
}

//! What can go wrong while a model is loaded and while it runs.

use crate::SourceError;
use fresco_api::{ApiError, ErrorCode};

/// A model folder that cannot be used, and which of its files is why.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is missing or cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file is there but is not what it should be.
    #[error("{file}: {reason}")]
    Bad {
        /// The file, relative to the model's folder.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor is missing from a weights file.
    #[error("{file}: tensor {tensor} is missing")]
    MissingTensor {
        /// The weights file.
        file: String,
        /// The tensor's published name.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{file}: tensor {tensor} has shape {found:?}, the configuration needs {expected:?}")]
    WrongShape {
        /// The weights file.
        file: String,
        /// The tensor's published name.
        tensor: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// The folder is fine but asks for something that is not built.
    #[error("{file}: {what} is not supported")]
    Unsupported {
        /// The file that asks for it.
        file: String,
        /// What it asks for.
        what: String,
    },
    /// The caller stopped it.
    #[error("Cancelled")]
    Cancelled,
}

impl LoadError {
    pub(crate) fn bad(file: &str, reason: impl std::fmt::Display) -> Self {
        Self::Bad { file: file.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn unsupported(file: &str, what: impl std::fmt::Display) -> Self {
        Self::Unsupported { file: file.to_owned(), what: what.to_string() }
    }
}

impl From<LoadError> for ApiError {
    fn from(error: LoadError) -> Self {
        ApiError::new(ErrorCode::BadModel, error.to_string()).at("model")
    }
}

/// Why a run gave no picture.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The observer asked for it.
    #[error("Cancelled")]
    Cancelled,
    /// A parameter that this model cannot take.
    #[error("{0}")]
    Request(ApiError),
    /// The device failed: out of memory, lost, or an invalid shader.
    #[error("The device failed: {0}")]
    Device(String),
    /// The numbers overflowed; the picture would be noise or black.
    #[error("The model produced numbers that are not finite at {0}")]
    NotFinite(&'static str),
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Request(inner) => inner,
            RunError::Cancelled | RunError::Device(_) => ApiError::new(ErrorCode::Device, error.to_string()),
            // Another device would compute the same.
            RunError::NotFinite(_) => ApiError::new(ErrorCode::BadModel, error.to_string()).at("model"),
        }
    }
}

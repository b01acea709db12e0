//! The one error that leaves the product: a code for programs, a sentence for people, the field at fault.

use serde::{Deserialize, Serialize};

/// What kind of thing went wrong; stable, for programs to decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The body is not JSON, or not of the expected shape.
    InvalidJson,
    /// A field has a value that cannot be used; `field` names it.
    InvalidField,
    /// The body is larger than the server reads.
    TooLarge,
    /// No such model in the catalogue, or its folder cannot be found.
    UnknownModel,
    /// A model's files are damaged, incomplete or of the wrong shape.
    BadModel,
    /// The request comes from a place that may not make it.
    Forbidden,
    /// No such job, page or route.
    NotFound,
    /// The thing exists but is not in a state that allows this.
    Conflict,
    /// The queue is full; try again later.
    Busy,
    /// It took longer than it may.
    Timeout,
    /// It was tried too often and never finished.
    GaveUp,
    /// The device was lost, or refused a shader.
    Device,
    /// The model does not fit the device, or the device ran out of memory; the message says what would help.
    OutOfMemory,
    /// Something broke that the caller cannot mend.
    Internal,
}

/// An error as the wire has it: `{"error": "Prompt is required", "code": "invalid_field", "field": "prompt"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// A sentence for people.
    #[serde(rename = "error")]
    pub message: String,
    /// The kind, for programs.
    pub code: ErrorCode,
    /// The request's field at fault, in its wire spelling.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
}

impl ApiError {
    /// An error of a kind, with its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), code, field: None }
    }

    /// A field that cannot be used; `name` is its wire spelling.
    pub fn field(name: &str, message: impl Into<String>) -> Self {
        Self { message: message.into(), code: ErrorCode::InvalidField, field: Some(name.to_owned()) }
    }

    /// The same error, naming the field it comes from.
    pub fn at(mut self, name: &str) -> Self {
        self.field = Some(name.to_owned());
        self
    }
}

//! The one place where errors become answers.

use crate::{images::ImageError, queue::QueueError};
use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use fresco_api::{ApiError, ErrorCode};
use std::any::Any;

/// Seconds after which a client may try again when the queue was full.
const RETRY_AFTER: &str = "5";

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: ApiError,
}

impl Failure {
    /// An error whose status its code does not tell.
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, error: ApiError::new(code, message) }
    }

    /// A page or route that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        ApiError::new(ErrorCode::NotFound, message).into()
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let status = match error.code {
            ErrorCode::InvalidJson | ErrorCode::InvalidField | ErrorCode::UnknownModel | ErrorCode::BadModel => {
                StatusCode::BAD_REQUEST
            }
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::Busy => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::OutOfMemory => StatusCode::INSUFFICIENT_STORAGE,
            // The last two are the ends of jobs, which no request has.
            ErrorCode::Device | ErrorCode::Internal | ErrorCode::Timeout | ErrorCode::GaveUp => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self { status, error }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::KeyReused => {
                let error = ApiError::from(error).at("Idempotency-Key");
                Self { status: StatusCode::UNPROCESSABLE_ENTITY, error }
            }
            other => ApiError::from(other).into(),
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        ApiError::from(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.error)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }
}

/// The route exists, but not for this method.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Failure {
    let message = format!("{method} is not possible on {}", uri.path());
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::NotFound, message)
}

/// A handler panicked, which is a mistake in this program.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    Failure::from(ApiError::new(ErrorCode::Internal, "Something broke that should not have")).into_response()
}

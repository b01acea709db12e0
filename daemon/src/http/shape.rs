//! How an answer has its pictures: as data URLs at the root, whose clients expect it, and as links under `/api/v1`.

use super::error::Failure;
use crate::queue::View;
use axum::{
    extract::{FromRequestParts, OriginalUri, Query},
    http::request::Parts,
};
use fresco_api::{ApiError, PictureForm, routes};
use serde::Deserialize;

/// The form that the client wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape(pub View);

#[derive(Deserialize)]
struct Asked {
    response: Option<PictureForm>,
}

impl<S: Send + Sync> FromRequestParts<S> for Shape {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let asked = Query::<Asked>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::field("response", "response must be inline or links"))?;
        // A router that is nested sees the rest of the path only.
        let original = parts.extensions.get::<OriginalUri>().map_or(parts.uri.path(), |uri| uri.0.path());
        let ours = original.starts_with(routes::API);
        Ok(Self(match asked.response {
            Some(PictureForm::Inline) => View::Inline,
            Some(PictureForm::Links) => View::Links,
            None if ours => View::Links,
            None => View::Inline,
        }))
    }
}

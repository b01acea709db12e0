//! Requests that bring pictures.

use super::{body::ModeBody, error::Failure, jobs};
use crate::{app::App, clock::random_seed, intake};
use axum::{extract::State, response::Response};
use fresco_api::{AnyRequest, ApiError, ErrorCode, Mode, Request};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// So many requests are decoded at a time: each may take a few hundred MiB while it is.
static DECODING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// `POST /generate/img2img`, `/generate/inpaint` and `/generate/style-transfer`: 202 and the job.
pub(super) async fn submit<M: Mode>(State(app): State<App>, ModeBody(request): ModeBody<M>) -> Result<Response, Failure>
where
    AnyRequest: From<Request<M>>,
{
    let model = jobs::model(&app, request.image.model.clone()).await?;
    // Nobody closes it, and where it were closed nothing would be decoded.
    let gone = |_| ApiError::new(ErrorCode::Internal, "Pictures are not decoded any more");
    let turn = DECODING.clone().acquire_owned().await.map_err(gone)?;
    // The turn ends with the work: a client that hangs up does not end it.
    let decode = move || (intake::ready(request, &model, random_seed()), drop(turn)).0;
    let ready = tokio::task::spawn_blocking(decode).await;
    // A decoder that panics has met a picture that it should have refused.
    let broken = |_| ApiError::new(ErrorCode::InvalidField, "The request's pictures cannot be read");
    let ready = ready.map_err(broken)??;
    jobs::accepted(&app.queue.submit(M::KIND, ready.request, ready.task).await?)
}

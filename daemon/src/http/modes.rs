//! Requests that bring pictures.

use super::{body::ModeBody, error::Failure, jobs, owner::Owner, repeat, shape::Shape};
use crate::{
    app::App,
    clock::random_seed,
    intake,
    queue::{plain_job, store::NewJob},
};
use axum::{
    extract::{OriginalUri, State},
    http::HeaderMap,
    response::Response,
};
use fresco_api::{AnyRequest, ApiError, ErrorCode, Mode, Request, routes};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// So many requests are decoded at a time: each may take a few hundred MiB while it is.
static DECODING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// `POST /generate/img2img`, `/generate/inpaint` and `/generate/style-transfer`: 202 and the job.
pub(super) async fn submit<M: Mode>(
    State(app): State<App>,
    owner: Owner,
    Shape(view): Shape,
    headers: HeaderMap,
    uri: OriginalUri,
    ModeBody(request): ModeBody<M>,
) -> Result<Response, Failure>
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
    // With the pictures' hashes in their place: the same pictures are the same request, however they were written.
    let route = uri.0.path().trim_start_matches(routes::API);
    let key = repeat::key(&headers, route, &ready.request)?;
    let (inputs, input_bytes) = app.queue.keep(ready.files).await?;
    let job = NewJob { inputs, input_bytes, ..plain_job(M::KIND, ready.request, ready.task.params) };
    jobs::submit(&app, owner, view, key, jobs::again(&app, &headers, job).await?).await
}

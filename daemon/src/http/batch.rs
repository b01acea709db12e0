//! Many pictures by one request.

use super::{body::JsonBody, error::Failure, jobs, owner::Owner, repeat};
use crate::{
    app::App,
    clock::random_seed,
    queue::{
        QueueError, new_name, plain_job,
        store::{NewJob, Place, Submission},
    },
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use fresco_api::{
    ApiError, Batch, BatchId, BatchRequest, Child, ImageRequest, Img2img, JobKind, ModelId, ModelInfo, Params, Request,
    routes,
};
use std::collections::HashMap;

/// `POST /generate/batch`: 202 and the batch with its jobs.
pub(super) async fn submit(
    State(app): State<App>,
    owner: Owner,
    headers: HeaderMap,
    JsonBody(request): JsonBody<BatchRequest>,
) -> Result<Response, Failure> {
    let key = repeat::key(&headers, routes::BATCH, &request)?;
    let seed = random_seed();
    let children = request.children(seed)?;
    let models = models(&app, &children).await?;
    let jobs = jobs::noted(&app, planned(children, &models, seed)?).await?;
    let batch = BatchId(new_name());
    let submission = Submission { owner: owner.name, key, batch: Some((batch, request)), jobs };
    match app.queue.submit(submission).await? {
        (Place::Batch(id), repeated) => {
            let (batch, _) = app.queue.batch(&id).await?;
            Ok(jobs::answer(repeated, routes::batch(&id), &batch))
        }
        // The same body goes to the same route.
        (Place::Job(_), _) => Err(QueueError::KeyReused.into()),
    }
}

/// The models that a batch needs, each looked up once.
async fn models(app: &App, children: &[Child]) -> Result<HashMap<Option<ModelId>, ModelInfo>, Failure> {
    let mut models = HashMap::new();
    for child in children {
        if !models.contains_key(&child.request.model) {
            let model = jobs::model(app, child.request.model.clone()).await?;
            models.insert(child.request.model.clone(), model);
        }
    }
    Ok(models)
}

/// A batch's jobs. Every one is checked before any is taken.
fn planned(
    children: Vec<Child>,
    models: &HashMap<Option<ModelId>, ModelInfo>,
    seed: u64,
) -> Result<Vec<NewJob>, ApiError> {
    let mut jobs: Vec<NewJob> = Vec::with_capacity(children.len());
    for child in children {
        let Child { label, request, from_previous } = child;
        let Some(model) = models.get(&request.model) else { continue };
        let named = |error: ApiError| ApiError { message: format!("{label}: {}", error.message), ..error };
        let job = match (from_previous, jobs.last()) {
            (Some(strength), Some(before)) => follow(before, strength, request, model, seed).map_err(named)?,
            _ => {
                let params = request.resolve(model, seed).map_err(named)?;
                plain_job(JobKind::Text2img, request.into(), params)
            }
        };
        jobs.push(NewJob { label: Some(label), ..job });
    }
    Ok(jobs)
}

/// A job that starts from the picture of another, which is not there yet.
fn follow(
    before: &NewJob,
    strength: f32,
    image: ImageRequest,
    model: &ModelInfo,
    seed: u64,
) -> Result<NewJob, ApiError> {
    let mode = Img2img { strength: Some(strength), ..Img2img::default() };
    let request = Request { image, mode };
    let params = request.resolve(model, seed, size(&before.params))?;
    let after = Some(before.id.clone());
    Ok(NewJob { after, ..plain_job(JobKind::Img2img, request.into(), params) })
}

/// The size of the picture that a run makes.
fn size(params: &Params) -> (u32, u32) {
    let times = params.post.upscale.unwrap_or(1);
    (params.width.saturating_mul(times), params.height.saturating_mul(times))
}

/// `GET /batches/{id}`.
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Batch>, Failure> {
    Ok(Json(app.queue.batch(&BatchId(id)).await?.0))
}

/// `POST /batches/{id}/cancel`: the batch as it is then; its running job ends at its next step.
pub(super) async fn cancel(
    State(app): State<App>,
    owner: Owner,
    Path(id): Path<String>,
) -> Result<Json<Batch>, Failure> {
    let id = BatchId(id);
    owner.may_change(&app.queue.batch(&id).await?.1)?;
    app.queue.cancel_batch(&id).await?;
    Ok(Json(app.queue.batch(&id).await?.0))
}

/// `DELETE /batches/{id}`: 204; the jobs are forgotten, if all of them have ended.
pub(super) async fn forget(
    State(app): State<App>,
    owner: Owner,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let (batch, of) = app.queue.batch(&BatchId(id)).await?;
    owner.may_change(&of)?;
    if !batch.status.is_final() {
        return Err(QueueError::Runs.into());
    }
    for job in &batch.jobs {
        app.queue.forget(&job.id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

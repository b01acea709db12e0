//! Jobs: submitted, looked at, stopped, moved, tried again.

use super::{body::JsonBody, error::Failure, owner::Owner, repeat, shape::Shape};
use crate::{
    app::App,
    clock::random_seed,
    models::Extras,
    queue::{
        QueueError, View, plain_job,
        store::{Filter, Key, NewJob, Place, Spot, Submission},
    },
};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use fresco_api::{
    ApiError, ErrorCode, ImageRequest, Job, JobId, JobKind, JobStatus, ModelId, ModelInfo, Priority, routes,
};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error as ValueError},
};
use std::collections::HashMap;

/// Jobs that a list has when nothing else is asked, and at most.
const LISTED: usize = 50;
const MOST_LISTED: usize = 1_000;
/// The longest text that is looked for, in characters.
const LONGEST_SEARCH: usize = 200;
/// Says that the answer is that of an earlier submit.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// `POST /generate/text2img`: 202 and the job.
pub(super) async fn text2img(
    State(app): State<App>,
    owner: Owner,
    Shape(view): Shape,
    headers: HeaderMap,
    JsonBody(request): JsonBody<ImageRequest>,
) -> Result<Response, Failure> {
    let model = model(&app, request.model.clone()).await?;
    let params = request.resolve(&model, random_seed())?;
    let key = repeat::key(&headers, routes::TEXT2IMG, &request)?;
    let job = plain_job(JobKind::Text2img, request.into(), params);
    submit(&app, owner, view, key, again(&app, &headers, job).await?).await
}

/// A job with a note of the files that it names, and with its answer, if it is known: only with a seed of the client's
/// own is the same request the same picture.
/// `Cache-Control: no-cache` has it made anew.
pub(super) async fn again(app: &App, headers: &HeaderMap, job: NewJob) -> Result<NewJob, Failure> {
    // Before the answer is looked for: another file is another picture.
    let Some(job) = noted(app, vec![job]).await?.pop() else {
        return Err(ApiError::new(ErrorCode::Internal, "The job was lost").into());
    };
    let control = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if job.request.image().seed.is_none() || control.contains("no-cache") || control.contains("no-store") {
        return Ok(job);
    }
    Ok(app.queue.answered(job).await?)
}

/// Puts one job into the queue: 202, the job, and where it is; 200 when the same submit came before.
pub(super) async fn submit(
    app: &App,
    owner: Owner,
    view: View,
    key: Option<Key>,
    job: NewJob,
) -> Result<Response, Failure> {
    let submission = Submission { owner: owner.name, key, batch: None, jobs: vec![job] };
    match app.queue.submit(submission).await? {
        (Place::Job(id), repeated) => {
            let job = app.queue.shown(app.queue.stored(&id).await?, view).await;
            Ok(answer(repeated, routes::job(&id), &job))
        }
        // The same body goes to the same route.
        (Place::Batch(_), _) => Err(QueueError::KeyReused.into()),
    }
}

/// 202, what was made, and where it is; 200 when it was there before.
pub(super) fn answer(repeated: bool, place: String, made: &impl serde::Serialize) -> Response {
    let place = [(header::LOCATION, place)];
    match repeated {
        false => (StatusCode::ACCEPTED, place, Json(made)).into_response(),
        true => (StatusCode::OK, place, [(REPLAYED, "true")], Json(made)).into_response(),
    }
}

/// `GET /jobs/{id}`.
pub(super) async fn one(
    State(app): State<App>,
    Shape(view): Shape,
    Path(id): Path<String>,
) -> Result<Json<Job>, Failure> {
    let stored = app.queue.stored(&JobId(id)).await?;
    Ok(Json(app.queue.shown(stored, view).await))
}

/// `GET /jobs?status=&limit=&cursor=&q=`: the newest first, without their pictures. The cursor of the next page is the
/// id of this page's last job.
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Vec<Job>>, Failure> {
    let given = |name: &str| query.get(name).filter(|text| !text.is_empty());
    let dead = given("status").is_some_and(|status| status == "dead");
    let prompt = given("q").cloned();
    if prompt.as_ref().is_some_and(|text| text.chars().nth(LONGEST_SEARCH).is_some()) {
        return Err(ApiError::field("q", format!("At most {LONGEST_SEARCH} characters are looked for")).into());
    }
    let filter = Filter {
        status: if dead { None } else { wanted_status(&query)? },
        dead,
        prompt,
        before: given("cursor").cloned().map(JobId),
        limit: wanted_limit(&query)?,
    };
    Ok(Json(app.queue.newest(filter).await?))
}

/// The job that is to be changed, if the caller may.
async fn own(app: &App, owner: &Owner, id: String) -> Result<JobId, Failure> {
    let id = JobId(id);
    owner.may_change(&app.queue.stored(&id).await?.owner)?;
    Ok(id)
}

/// A job as it is after a change: 200 when that is over, 202 when something follows.
async fn changed(app: &App, id: &JobId, view: View) -> Result<(StatusCode, Json<Job>), Failure> {
    let job = app.queue.shown(app.queue.stored(id).await?, view).await;
    let status = if job.status.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(job)))
}

/// `POST /jobs/{id}/cancel`: 200 when it has ended, 202 when it ends at its next step.
pub(super) async fn cancel(
    State(app): State<App>,
    owner: Owner,
    Shape(view): Shape,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Job>), Failure> {
    let id = own(&app, &owner, id).await?;
    app.queue.cancel(&id).await?;
    changed(&app, &id, view).await
}

/// `POST /jobs/{id}/retry`: 202; the job waits again.
pub(super) async fn retry(
    State(app): State<App>,
    owner: Owner,
    Shape(view): Shape,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Job>), Failure> {
    let id = own(&app, &owner, id).await?;
    app.queue.retry(&id).await?;
    // It may have failed again by now, which is another matter.
    Ok((StatusCode::ACCEPTED, changed(&app, &id, view).await?.1))
}

/// The body of `POST /jobs/{id}/priority`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPriority {
    priority: Priority,
}

/// `POST /jobs/{id}/priority`.
pub(super) async fn priority(
    State(app): State<App>,
    owner: Owner,
    Shape(view): Shape,
    Path(id): Path<String>,
    JsonBody(NewPriority { priority }): JsonBody<NewPriority>,
) -> Result<Json<Job>, Failure> {
    let id = own(&app, &owner, id).await?;
    app.queue.prioritise(&id, priority).await?;
    Ok(changed(&app, &id, view).await?.1)
}

/// The body of `POST /jobs/{id}/move`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSpot {
    to: Option<End>,
    before: Option<JobId>,
}

/// An end of a line.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum End {
    First,
    Last,
}

/// `POST /jobs/{id}/move`.
pub(super) async fn move_to(
    State(app): State<App>,
    owner: Owner,
    Shape(view): Shape,
    Path(id): Path<String>,
    JsonBody(spot): JsonBody<NewSpot>,
) -> Result<Json<Job>, Failure> {
    let spot = match (spot.to, spot.before) {
        (Some(End::First), None) => Spot::First,
        (Some(End::Last), None) => Spot::Last,
        (None, Some(other)) => Spot::Before(other),
        _ => return Err(ApiError::field("to", "Say either to (first or last) or before (another job's id)").into()),
    };
    let id = own(&app, &owner, id).await?;
    app.queue.move_to(&id, spot).await?;
    Ok(changed(&app, &id, view).await?.1)
}

/// `DELETE /jobs/{id}`: 204; what has ended is forgotten, its pictures stay in the history.
pub(super) async fn forget(
    State(app): State<App>,
    owner: Owner,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let id = own(&app, &owner, id).await?;
    app.queue.forget(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The catalogue may have to read folders.
pub(super) async fn model(app: &App, id: Option<ModelId>) -> Result<ModelInfo, Failure> {
    let catalogue = app.catalogue.clone();
    let found = tokio::task::spawn_blocking(move || catalogue.find(id.as_ref())).await;
    let broken = |_| ApiError::new(ErrorCode::BadModel, "The model cannot be read").at("model");
    Ok(found.map_err(broken)??.info.clone())
}

/// Jobs with a note of the files that each names: a name that is not there is refused before anything is queued.
pub(super) async fn noted(app: &App, jobs: Vec<NewJob>) -> Result<Vec<NewJob>, Failure> {
    let catalogue = app.catalogue.clone();
    let note = move |job: NewJob| -> Result<NewJob, ApiError> {
        let params = catalogue.noted(job.params, &Extras::default()).map_err(|error| match &job.label {
            Some(label) => ApiError { message: format!("{label}: {}", error.message), ..error },
            None => error,
        })?;
        Ok(NewJob { params, ..job })
    };
    let noted = tokio::task::spawn_blocking(move || jobs.into_iter().map(note).collect::<Result<_, _>>()).await;
    let broken = |_| ApiError::new(ErrorCode::Internal, "The files that the request names cannot be read");
    Ok(noted.map_err(broken)??)
}

fn wanted_status(query: &HashMap<String, String>) -> Result<Option<JobStatus>, ApiError> {
    let Some(name) = query.get("status").filter(|name| !name.is_empty()) else { return Ok(None) };
    let named = serde::Deserialize::deserialize(name.as_str().into_deserializer());
    named.map(Some).map_err(|_: ValueError| {
        ApiError::field("status", "status must be queued, processing, completed, failed, dead or cancelled")
    })
}

fn wanted_limit(query: &HashMap<String, String>) -> Result<usize, ApiError> {
    let Some(text) = query.get("limit").filter(|text| !text.is_empty()) else { return Ok(LISTED) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
    limit.ok_or_else(|| ApiError::field("limit", format!("limit must be 1 to {MOST_LISTED}")))
}

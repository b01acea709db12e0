//! Stored pictures over HTTP: their files in any size and format, what is known about them, and how they were made.

mod file;

use super::{
    body::{JsonBody, PictureBody},
    error::Failure,
    owner::Owner,
};
use crate::{
    app::App,
    clock::rfc3339,
    images::{
        export::{self, MOST_IDS, Selection},
        metadata,
        question::{self, Pair},
    },
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use fresco_api::{
    ApiError, ErrorCode, ExportRequest, ImageChange, ImageId, ImagePage, ImageUrl, Inspection, StoredImage, routes,
};
use std::time::{Duration, SystemTime};

/// An address at the bucket is good for so long.
const URL_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Every route about stored pictures.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route(routes::IMAGES, get(list))
        .route(routes::IMAGES_EXPORT, get(export_found).post(export_named))
        .route(routes::IMAGES_INSPECT, post(inspect))
        .route(routes::IMAGE, get(file::get).patch(change).delete(remove))
        .route(routes::IMAGE_INFO, get(info))
        .route(routes::IMAGE_URL, get(url))
}

/// `GET /images?q=&model=&favourite=&tag=&from=&to=&cursor=&limit=`: the newest first.
async fn list(State(app): State<App>, Query(pairs): Query<Vec<Pair>>) -> Result<Json<ImagePage>, Failure> {
    let (search, cursor, limit) = (question::search(&pairs)?, question::cursor(&pairs)?, question::limit(&pairs)?);
    let (pictures, next) = app.images.page(&search, cursor.as_ref(), limit).await?;
    let images = pictures.into_iter().map(|stored| stored.image).collect();
    Ok(Json(ImagePage { images, next_cursor: next.map(|id| id.0) }))
}

/// `GET /images/{id}/info`.
async fn info(State(app): State<App>, Path(id): Path<String>) -> Result<Json<StoredImage>, Failure> {
    Ok(Json(app.images.find(&ImageId(id)).await?.image))
}

/// `GET /images/{id}/url`: an address at the bucket for a while, or the path of the file here.
async fn url(State(app): State<App>, Path(id): Path<String>) -> Result<Json<ImageUrl>, Failure> {
    let stored = app.images.find(&ImageId(id)).await?;
    let ends = SystemTime::now() + URL_LIFETIME;
    Ok(Json(match app.images.signed_url(&stored, URL_LIFETIME).await? {
        Some(url) => ImageUrl { url, expires_at: Some(rfc3339(ends)) },
        None => ImageUrl { url: stored.image.url, expires_at: None },
    }))
}

/// `PATCH /images/{id}`: the picture as it is then.
async fn change(
    State(app): State<App>,
    owner: Owner,
    Path(id): Path<String>,
    JsonBody(change): JsonBody<ImageChange>,
) -> Result<Json<StoredImage>, Failure> {
    Ok(Json(app.images.change(&own(&app, &owner, id).await?, change).await?))
}

/// The picture that is to be changed, if the caller may.
async fn own(app: &App, owner: &Owner, id: String) -> Result<ImageId, Failure> {
    let id = ImageId(id);
    owner.may_change(&app.images.find(&id).await?.owner)?;
    Ok(id)
}

/// `DELETE /images/{id}`: 204 when it is gone, with its file where nothing else has the same.
async fn remove(State(app): State<App>, owner: Owner, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    app.images.remove(&own(&app, &owner, id).await?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /images/export` with the questions of the list: all that are found, as a zip file.
async fn export_found(State(app): State<App>, Query(pairs): Query<Vec<Pair>>) -> Result<Response, Failure> {
    Ok(zip(&app, Selection::Found(question::search(&pairs)?)))
}

/// `POST /images/export`: the named pictures, as a zip file.
async fn export_named(
    State(app): State<App>,
    JsonBody(ExportRequest { ids }): JsonBody<ExportRequest>,
) -> Result<Response, Failure> {
    if ids.is_empty() || ids.len() > MOST_IDS {
        return Err(ApiError::field("ids", format!("An export names 1 to {MOST_IDS} pictures")).into());
    }
    Ok(zip(&app, Selection::Ids(ids)))
}

fn zip(app: &App, selection: Selection) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"fresco-images.zip\"")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::from_stream(export::stream(app.images.clone(), selection))).into_response()
}

/// `POST /images/inspect`: how a picture was made, as a request that makes it again.
async fn inspect(PictureBody(file): PictureBody) -> Result<Json<Inspection>, Failure> {
    // No pixel is decoded, but the file may be long.
    let inspected = tokio::task::spawn_blocking(move || metadata::inspect(&file)).await;
    let broken = |_| ApiError::new(ErrorCode::Internal, "The picture cannot be read");
    Ok(Json(inspected.map_err(broken)?.map_err(|reason| ApiError::field("image", reason))?))
}

//! Files of models, for a page that runs them in its own tab: whole or one range, never anything else of the disk.

use super::{
    assets::known,
    error::Failure,
    models::with_files,
    ranges::{Wanted, wanted},
};
use crate::{app::App, models::ModelFiles};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use fresco_api::ModelFile;
use fresco_diffusion::Source;
use futures_util::stream;
use std::{io, ops::Range};

/// So much of a file is read at a time.
const PIECE: u64 = 1 << 20;

/// `GET /weights/{id}/{file}`, whole or one `Range` of it.
pub(super) async fn file(
    State(app): State<App>,
    Path((id, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (model, files) = with_files(&app, id).await?;
    let file = files.into_iter().find(|file| file.path == path);
    let file = file.ok_or_else(|| Failure::not_found("The model has no such file"))?;
    let tag = tag(&file);
    let body = |range: Range<u64>| pieces(model.files.clone(), file.path.clone(), range);
    let mut response = match wanted(&headers, &tag, file.size) {
        _ if known(&headers, &tag) => StatusCode::NOT_MODIFIED.into_response(),
        Wanted::Whole => {
            let length = [(header::CONTENT_LENGTH, file.size.to_string())];
            (length, body(0..file.size)).into_response()
        }
        Wanted::Nothing => {
            let range = format!("bytes */{}", file.size);
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response()
        }
        Wanted::Part(part) => {
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, file.size);
            let length = (part.end - part.start).to_string();
            let said = [(header::CONTENT_RANGE, range), (header::CONTENT_LENGTH, length)];
            (StatusCode::PARTIAL_CONTENT, said, body(part)).into_response()
        }
    };
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, kind(&file.path));
    set.insert(header::ETAG, tag);
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    set.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(response)
}

/// A tag that changes with the content.
fn tag(file: &ModelFile) -> HeaderValue {
    let digest = file.sha256.as_deref().or(file.git.as_deref()).unwrap_or_default();
    HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn kind(path: &str) -> HeaderValue {
    let json = path.ends_with(".json");
    HeaderValue::from_static(if json { "application/json" } else { "application/octet-stream" })
}

/// A file's bytes, read as the client takes them.
fn pieces(files: ModelFiles, path: String, range: Range<u64>) -> Body {
    Body::from_stream(stream::try_unfold(range.start, move |at| {
        let (files, path, end) = (files.clone(), path.clone(), range.end);
        async move {
            if at >= end {
                return Ok(None);
            }
            let until = end.min(at + PIECE);
            let read = tokio::task::spawn_blocking(move || futures_executor::block_on(files.read(&path, at..until)));
            let bytes = read.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
            Ok::<_, io::Error>(Some((bytes, until)))
        }
    }))
}

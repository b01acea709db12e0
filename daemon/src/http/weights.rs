//! The embedded model's files, for a page that runs it in its own tab.

use super::{
    assets::{bytes, content_type, etag, known},
    error::Failure,
    ranges::{Wanted, wanted},
};
use crate::models::Weights;
use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// `GET /weights/fresco-tiny/{file}`, whole or one `Range` of it.
pub(super) async fn file(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Failure> {
    let file = Weights::get(&path).ok_or_else(|| Failure::not_found("The model has no such file"))?;
    let (tag, kind) = (etag(&file), content_type(&file));
    let whole = bytes(file);
    let mut response = match wanted(&headers, &tag, whole.len() as u64) {
        _ if known(&headers, &tag) => StatusCode::NOT_MODIFIED.into_response(),
        Wanted::Whole => Body::from(whole).into_response(),
        Wanted::Nothing => {
            let range = format!("bytes */{}", whole.len());
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response()
        }
        Wanted::Part(part) => {
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, whole.len());
            // It lies within the file, whose length is a `usize`.
            let part = Body::from(whole.slice(part.start as usize..part.end as usize));
            (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, range)], part).into_response()
        }
    };
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, kind);
    set.insert(header::ETAG, tag);
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    set.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(response)
}

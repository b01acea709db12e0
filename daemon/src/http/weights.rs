//! The embedded model's files, for a page that runs it in its own tab.

use super::{
    assets::{bytes, content_type, etag, known},
    error::Failure,
};
use crate::models::Weights;
use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::ops::Range;

/// `GET /weights/fresco-tiny/{file}`, whole or one `Range` of it.
pub(super) async fn file(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Failure> {
    let file = Weights::get(&path).ok_or_else(|| Failure::not_found("The model has no such file"))?;
    let (tag, kind) = (etag(&file), content_type(&file));
    let whole = bytes(file);
    let wanted = if current(&headers, &tag) { wanted_range(&headers, whole.len()) } else { Wanted::Whole };
    let mut response = match wanted {
        _ if known(&headers, &tag) => StatusCode::NOT_MODIFIED.into_response(),
        Wanted::Whole => Body::from(whole).into_response(),
        Wanted::Nothing => {
            let range = format!("bytes */{}", whole.len());
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response()
        }
        Wanted::Part(part) => {
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, whole.len());
            let part = Body::from(whole.slice(part));
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

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part(Range<usize>),
    Nothing,
}

/// Whether a range may be cut from this version (`If-Range`).
fn current(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|wanted| wanted == tag)
}

/// One range is honoured; of several, or of what is no range, the whole is sent, as RFC 9110 allows.
fn wanted_range(headers: &HeaderMap, length: usize) -> Wanted {
    let said = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some((first, last)) = said.and_then(|text| text.strip_prefix("bytes=")?.split_once('-')) else {
        return Wanted::Whole;
    };
    let range = match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..length,
        (Err(_), Ok(suffix)) if first.trim().is_empty() => length.saturating_sub(suffix)..length,
        _ => return Wanted::Whole,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_honoured() {
        let cases = [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("bytes=8-", Wanted::Part(8..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=5-900", Wanted::Part(5..10)),
            ("bytes=0-18446744073709551615", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
        ];
        for (range, expected) in cases {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]);
            assert_eq!(wanted_range(&headers, 10), expected, "{range}");
        }
    }
}

//! A picture's file: whole or in part, as it is stored, smaller, or in another format.

use crate::{
    app::App,
    http::{
        assets::known,
        error::Failure,
        ranges::{Wanted, wanted},
    },
    images::{
        Stored,
        question::{Pair, value},
        render::{Rendition, WIDTHS},
    },
};
use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use fresco_api::{ApiError, ImageFormat, ImageId};

/// A picture never changes under its name; whoever may see it may keep it.
const FOREVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// `GET /images/{id}?w=&format=`, whole or one `Range` of it. Without `format`, `Accept` decides.
pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(pairs): Query<Vec<Pair>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let width = wanted_width(&pairs)?;
    let named = wanted_format(&pairs)?;
    let stored = app.images.find(&ImageId(id)).await?;
    let own = stored.image.media_type;
    let format = named.unwrap_or_else(|| negotiated(&headers, if width.is_some() { ImageFormat::Jpeg } else { own }));
    let rendition = Rendition { width, format };
    let tag = tag(&stored, rendition);
    let mut response = if known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if width.is_none() && format == own {
        as_stored(&app, &stored, &headers, &tag).await?
    } else {
        let file = app.images.rendered(&stored, rendition).await?;
        match wanted(&headers, &tag, file.len() as u64) {
            Wanted::Whole => Body::from(file).into_response(),
            Wanted::Nothing => nothing(file.len() as u64),
            // It lies within the file, whose length is a `usize`.
            Wanted::Part(range) => {
                let part = file.slice(range.start as usize..range.end as usize);
                partial(range, file.len() as u64, part.into())
            }
        }
    };
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    set.insert(header::ETAG, tag);
    set.insert(header::CACHE_CONTROL, FOREVER);
    set.insert(header::VARY, HeaderValue::from_static("accept"));
    set.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let name = format!("inline; filename=\"{}.{}\"", stored.image.id, format.extension());
    if let Ok(name) = HeaderValue::from_str(&name) {
        set.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

async fn as_stored(app: &App, stored: &Stored, headers: &HeaderMap, tag: &HeaderValue) -> Result<Response, Failure> {
    let length = stored.image.bytes;
    Ok(match wanted(headers, tag, length) {
        Wanted::Whole => Body::from(app.images.file(stored).await?).into_response(),
        Wanted::Nothing => nothing(length),
        Wanted::Part(range) => {
            let part = app.images.file_range(stored, range.clone()).await?;
            partial(range, length, part.into())
        }
    })
}

fn nothing(length: u64) -> Response {
    (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{length}"))]).into_response()
}

fn partial(range: std::ops::Range<u64>, length: u64, part: Body) -> Response {
    let said = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
    (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, said)], part).into_response()
}

/// The file's hash, and what was made of it.
fn tag(stored: &Stored, rendition: Rendition) -> HeaderValue {
    let (hash, ending) = (stored.hash.to_string(), rendition.format.extension());
    let width = rendition.width.map_or_else(String::new, |width| format!("-{width}"));
    HeaderValue::from_str(&format!("\"{hash}{width}.{ending}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn wanted_width(pairs: &[Pair]) -> Result<Option<u32>, ApiError> {
    let Some(text) = value(pairs, "w") else { return Ok(None) };
    let width = text.parse().ok().filter(|width| WIDTHS.contains(width));
    let known = || WIDTHS.map(|width| width.to_string()).join(", ");
    width.map(Some).ok_or_else(|| ApiError::field("w", format!("w must be one of {}", known())))
}

fn wanted_format(pairs: &[Pair]) -> Result<Option<ImageFormat>, ApiError> {
    match value(pairs, "format") {
        None => Ok(None),
        Some("png") => Ok(Some(ImageFormat::Png)),
        Some("jpeg" | "jpg") => Ok(Some(ImageFormat::Jpeg)),
        Some("webp") => Ok(Some(ImageFormat::Webp)),
        Some(_) => Err(ApiError::field("format", "format must be png, jpeg or webp")),
    }
}

/// The format that the client likes best (RFC 9110, 12.5.1); of those it likes as much, `first`. A client that takes
/// none of them gets `first` too: it may have said what it takes without having us in mind.
fn negotiated(headers: &HeaderMap, first: ImageFormat) -> ImageFormat {
    let said = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<(&str, f32)> = said.flat_map(|text| text.split(',')).filter_map(accepted).collect();
    let mut best = (first, weight(&ranges, first));
    for format in ImageFormat::ALL {
        let weight = weight(&ranges, *format);
        if weight > best.1 {
            best = (*format, weight);
        }
    }
    best.0
}

/// A media range and how much it is liked.
fn accepted(text: &str) -> Option<(&str, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |weight| weight.trim().parse().ok())?;
    (0.0..=1.0).contains(&weight).then_some((range, weight))
}

/// How much a format is liked: the closest range counts. Who says nothing likes all.
fn weight(ranges: &[(&str, f32)], format: ImageFormat) -> f32 {
    let of = |name: &str| ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(name)).map(|(_, weight)| *weight);
    let silent = if ranges.is_empty() { 1.0 } else { 0.0 };
    of(format.media_type()).or_else(|| of("image/*")).or_else(|| of("*/*")).unwrap_or(silent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_what_it_likes_best() {
        use ImageFormat::{Jpeg, Png, Webp};
        let browser = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
        let cases = [
            (None, Png, Png),
            (Some("*/*"), Png, Png),
            (Some(browser), Png, Png),
            (Some(browser), Jpeg, Jpeg),
            (Some("image/webp"), Png, Webp),
            (Some("IMAGE/JPEG"), Png, Jpeg),
            (Some("image/png;q=0.2, image/jpeg;q=0.9"), Png, Jpeg),
            (Some("image/*;q=0.5, image/webp"), Png, Webp),
            (Some("image/png;q=0, */*;q=0.1"), Png, Jpeg),
            (Some("application/json"), Png, Png),
            (Some(";;,q=,image/webp;q=NaN,image/jpeg;q=7"), Png, Png),
        ];
        for (accept, first, expected) in cases {
            let accept = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
            let headers = HeaderMap::from_iter(accept);
            assert_eq!(negotiated(&headers, first), expected, "{headers:?}");
        }
    }
}

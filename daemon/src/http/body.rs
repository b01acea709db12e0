//! JSON bodies: bounded, and errors that name the field.

use super::error::Failure;
use crate::intake;
use axum::{
    body::{Body, BodyDataStream},
    extract::{FromRequest, Request as HttpRequest},
    http::{HeaderMap, StatusCode, header},
};
use fresco_api::{ApiError, ErrorCode, Mode, Request};
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::{Map, Value};
use std::time::Duration;

/// The largest body of words and numbers that is read.
const MAX_BYTES: usize = 1 << 20;
/// The largest body with pictures.
const MAX_PICTURE_BYTES: usize = 32 << 20;
/// A larger body is read on and thrown away up to here, so that the client sees the answer and not a
/// broken connection.
const MAX_DRAINED: usize = 1 << 30;
/// A body that stands still for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A JSON body as a value.
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: HttpRequest, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        let bytes = read(&parts.headers, body, MAX_BYTES).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// The JSON body of a request with pictures.
pub(super) struct ModeBody<M>(pub Request<M>);

impl<M: Mode, S: Send + Sync> FromRequest<S> for ModeBody<M> {
    type Rejection = Failure;

    async fn from_request(request: HttpRequest, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        let bytes = read(&parts.headers, body, MAX_PICTURE_BYTES).await?;
        Ok(Self(parse_mode(&bytes)?))
    }
}

/// A picture's file: the body itself, or `{"image": "data:…"}`.
pub(super) struct PictureBody(pub Vec<u8>);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PictureFields {
    image: String,
}

impl<S: Send + Sync> FromRequest<S> for PictureBody {
    type Rejection = Failure;

    async fn from_request(request: HttpRequest, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let mime = mime(&parts.headers).to_ascii_lowercase();
        if mime.starts_with("image/") || mime == "application/octet-stream" {
            return Ok(Self(read(&parts.headers, body, MAX_PICTURE_BYTES).await?));
        }
        check_type(&parts.headers)?;
        let bytes = read(&parts.headers, body, MAX_PICTURE_BYTES).await?;
        let PictureFields { image } = parse(&bytes)?;
        Ok(Self(intake::file(&image).map_err(|reason| ApiError::field("image", reason))?))
    }
}

/// The media type of a body, without its parameters.
fn mime(headers: &HeaderMap) -> &str {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    sent.split(';').next().unwrap_or_default().trim()
}

fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    if mime(headers).eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "The body must be JSON: send Content-Type: application/json";
    Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::InvalidJson, message))
}

async fn read(headers: &HeaderMap, body: Body, most: usize) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let message = format!("The body is too large: at most {} MiB are read", most >> 20);
        Failure::from(ApiError::new(ErrorCode::TooLarge, message))
    };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let announced = declared.is_some_and(|length| length > most);
    // This client waits for a word before it sends.
    if announced && headers.contains_key(header::EXPECT) {
        return Err(too_large());
    }
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = next(&mut stream).await? {
        if announced || bytes.len() + chunk.len() > most {
            drain(&mut stream).await;
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn next(stream: &mut BodyDataStream) -> Result<Option<axum::body::Bytes>, Failure> {
    match tokio::time::timeout(PATIENCE, stream.next()).await {
        Err(_) => Err(Failure::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::InvalidJson, "The body did not arrive")),
        Ok(None) => Ok(None),
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(_))) => Err(ApiError::new(ErrorCode::InvalidJson, "The body broke off").into()),
    }
}

async fn drain(stream: &mut BodyDataStream) {
    let mut drained = 0;
    while let Ok(Some(chunk)) = next(stream).await {
        drained += chunk.len();
        if drained > MAX_DRAINED {
            return;
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Serde would take an array for a struct, its fields by position.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::new(ErrorCode::InvalidJson, "The body is not a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = named(&mut json)?;
    json.end().map_err(|error| refusal(".", &error))?;
    Ok(value)
}

/// A request on one level whose fields belong to two types. Serde can flatten one into the other, but
/// then neither knows which field is wrong.
fn parse_mode<M: Mode>(bytes: &[u8]) -> Result<Request<M>, ApiError> {
    let fields: Map<String, Value> = parse(bytes)?;
    let (mode, image): (Map<_, _>, Map<_, _>) =
        fields.into_iter().partition(|(name, _)| M::FIELDS.contains(&name.as_str()));
    Ok(Request { image: named(Value::Object(image))?, mode: named(Value::Object(mode))? })
}

/// A value, or the field that keeps it from being one.
fn named<'de, T: DeserializeOwned>(json: impl Deserializer<'de, Error = serde_json::Error>) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let field = error.path().to_string();
        refusal(&field, error.inner())
    })
}

/// What is wrong with a body; `field` is `.` when it is the whole.
fn refusal(field: &str, error: &serde_json::Error) -> ApiError {
    // Both may repeat what the client sent, however long.
    let field = &shortened(field, 60);
    let text = error.to_string();
    if !error.is_data() {
        let refused = ApiError::new(ErrorCode::InvalidJson, format!("The body is not JSON: {text}"));
        return if field == "." { refused } else { refused.at(field) };
    }
    // Where in the body it stands helps nobody who is told the field.
    let reason = shortened(text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason), 200);
    if let Some((name, _)) = reason.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
        return ApiError::field(name, format!("{name} is required"));
    }
    match field.as_str() {
        "." => ApiError::new(ErrorCode::InvalidJson, format!("The body is not a request: {reason}")),
        _ => ApiError::field(field, format!("{field} cannot be used: {reason}")),
    }
}

/// At most so many characters of a text.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fresco_api::ImageRequest;

    #[test]
    fn an_answer_does_not_repeat_a_long_body() {
        let long = "x".repeat(500_000);
        for json in [
            format!(r#"{{"prompt":"x","{long}":1}}"#),
            format!(r#"{{"prompt":"x","sampler":"{long}"}}"#),
            format!(r#"{{"prompt":"x","width":"{long}"}}"#),
        ] {
            let error = parse::<ImageRequest>(json.as_bytes()).expect_err("is refused");
            let said = error.message.len() + error.field.map_or(0, |field| field.len());
            assert!(said < 1_000, "{said} bytes");
        }
    }

    fn refused(json: &str) -> (ErrorCode, Option<String>) {
        let error = parse::<ImageRequest>(json.as_bytes()).expect_err(json);
        (error.code, error.field)
    }

    #[test]
    fn each_mistake_names_its_field() {
        use ErrorCode::{InvalidField, InvalidJson};
        let cases = [
            (r#"{"prompt":"x","width":"wide"}"#, InvalidField, Some("width")),
            (r#"{"prompt":"x","width":-1}"#, InvalidField, Some("width")),
            (r#"{"prompt":7}"#, InvalidField, Some("prompt")),
            (r#"{"prompt":"x","sampler":"magic"}"#, InvalidField, Some("sampler")),
            (r#"{"prompt":"x","steps":1.5}"#, InvalidField, Some("steps")),
            (r#"{"prompt":"x","colour":"red"}"#, InvalidField, Some("colour")),
            (r#"{"prompt":"x","guidanceScale":NaN}"#, InvalidJson, Some("guidanceScale")),
            (r#"["x"]"#, InvalidJson, None),
            ("", InvalidJson, None),
            ("not json", InvalidJson, None),
            (r#"{"prompt":"x"} {}"#, InvalidJson, None),
        ];
        for (json, code, field) in cases {
            assert_eq!(refused(json), (code, field.map(str::to_owned)), "{json}");
        }
    }
}

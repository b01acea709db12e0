//! What the page asks its server for; every path is relative to the page.

use fresco_api::{ApiError, ErrorCode, Health, ModelInfo, routes};
use fresco_web::{DEFAULT_MODEL, weights_path};
use gloo_net::http::{Request, Response};
use serde::de::DeserializeOwned;

/// A route of the daemon, relative to the page, so that any sub-path works.
pub fn beside(route: &str) -> &str {
    route.trim_start_matches('/')
}

/// What the catalogue says about the page's model.
///
/// # Errors
/// A sentence that names the file.
pub async fn model() -> Result<ModelInfo, ApiError> {
    let path = weights_path(DEFAULT_MODEL, "fresco.json");
    get(&path).await.map_err(|error| ApiError::new(ErrorCode::BadModel, format!("{path}: {error}")))
}

/// The daemon behind the page, if there is one. A static server answers the same path with a file
/// that is not a daemon's answer, so that asking leaves no error in the console.
pub async fn daemon() -> Option<Health> {
    get::<Health>(beside(routes::HEALTH)).await.ok().filter(|health| health.status == "ok")
}

/// Reads JSON.
///
/// # Errors
/// The server's own error where it sent one, else a sentence about the failure.
pub async fn get<T: DeserializeOwned>(path: &str) -> Result<T, ApiError> {
    read(Request::get(path).send().await.map_err(unreachable)?).await
}

/// The answer's JSON, or the error it carries.
///
/// # Errors
/// As for [`get`].
pub async fn read<T: DeserializeOwned>(response: Response) -> Result<T, ApiError> {
    let status = response.status();
    let text = response.text().await.map_err(unreachable)?;
    let strange =
        || ApiError::new(ErrorCode::Internal, format!("The server answered {status}, which makes no sense here"));
    if response.ok() {
        return serde_json::from_str(&text).map_err(|_| strange());
    }
    Err(serde_json::from_str(&text).unwrap_or_else(|_| strange()))
}

/// Sends a wish without a body, and reads the answer.
///
/// # Errors
/// As for [`get`].
pub async fn post<T: DeserializeOwned>(path: &str) -> Result<T, ApiError> {
    read(Request::post(path).send().await.map_err(unreachable)?).await
}

/// Removes what is at a path.
///
/// # Errors
/// As for [`get`].
pub async fn delete(path: &str) -> Result<(), ApiError> {
    let response = Request::delete(path).send().await.map_err(unreachable)?;
    if response.ok() { Ok(()) } else { read::<()>(response).await }
}

/// The sentence for a server that does not answer.
pub fn unreachable(_: gloo_net::Error) -> ApiError {
    ApiError::new(ErrorCode::Internal, "The server does not answer")
}

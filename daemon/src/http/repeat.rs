//! Submits that may come twice: the header `Idempotency-Key`, as RFC draft-ietf-httpapi-idempotency-key-header has it.

use crate::queue::store::Key;
use axum::http::HeaderMap;
use fresco_api::ApiError;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The header.
pub(super) const HEADER: &str = "idempotency-key";
/// The longest key.
const LONGEST: usize = 255;

/// The key of a request, if it has one. `route` and `body` are what was asked, with nothing drawn at random in it.
///
/// # Errors
/// When the key is empty, too long or no plain text.
pub(super) fn key(headers: &HeaderMap, route: &str, body: &impl Serialize) -> Result<Option<Key>, ApiError> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let wrong = || ApiError::field("Idempotency-Key", format!("The key must have 1 to {LONGEST} plain characters"));
    let name = value.to_str().map_err(|_| wrong())?.trim();
    if name.is_empty() || name.len() > LONGEST {
        return Err(wrong());
    }
    let text = serde_json::to_vec(body).map_err(|_| wrong())?;
    let digest = Sha256::new().chain_update(route).chain_update([0]).chain_update(text).finalize();
    let body = digest.iter().fold(String::new(), |mut hex, byte| {
        // A string takes everything.
        _ = write!(hex, "{byte:02x}");
        hex
    });
    Ok(Some(Key { name: name.to_owned(), body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_with_what_was_asked() {
        let mut headers = HeaderMap::new();
        assert_eq!(key(&headers, "/a", &"x"), Ok(None));
        headers.insert(HEADER, "one".parse().expect("a value"));
        let first = key(&headers, "/a", &"x").expect("a key");
        assert_eq!(first, key(&headers, "/a", &"x").expect("a key"));
        assert_ne!(first, key(&headers, "/a", &"y").expect("a key"));
        assert_ne!(first, key(&headers, "/b", &"x").expect("a key"));
        for bad in ["", " ", &"k".repeat(256)] {
            headers.insert(HEADER, bad.parse().expect("a value"));
            let error = key(&headers, "/a", &"x").expect_err("is refused");
            assert_eq!(error.field.as_deref(), Some("Idempotency-Key"));
        }
    }
}

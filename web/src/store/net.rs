//! Asking servers from the store: whole small answers, and answers that are read as they come.

use js_sys::{Reflect, Uint8Array};
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortSignal, DedicatedWorkerGlobalScope, Headers, ReadableStreamDefaultReader, RequestCache, RequestInit, Response,
};

/// The worker's global object.
pub fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Asks for a file from byte `from` on. Whatever answers is given back, of any status.
///
/// # Errors
/// Nobody answered.
pub async fn ask(url: &str, from: u64, stop: &AbortSignal) -> Result<Response, String> {
    let asked = async || -> Result<Response, JsValue> {
        let headers = Headers::new()?;
        if from > 0 {
            headers.set("range", &format!("bytes={from}-"))?;
        }
        let init = RequestInit::new();
        init.set_headers_headers(&headers);
        init.set_signal(Some(stop));
        // Gigabytes would push everything else out of the browser's cache.
        init.set_cache(RequestCache::NoStore);
        JsFuture::from(scope().fetch_with_str_and_init(url, &init)).await?.dyn_into()
    };
    asked().await.map_err(|_| format!("{} does not answer", host(url)))
}

/// Reads a JSON answer.
///
/// # Errors
/// A sentence that tells apart what can be mended.
pub async fn json<T: DeserializeOwned>(url: &str, stop: &AbortSignal) -> Result<T, String> {
    let response = ask(url, 0, stop).await?;
    if !response.ok() {
        return Err(refusal(url, response.status()));
    }
    let text = JsFuture::from(response.text().map_err(|_| broken(url))?).await.map_err(|_| broken(url))?;
    serde_json::from_str(&text.as_string().unwrap_or_default()).map_err(|_| broken(url))
}

/// What a status means to somebody who wants a model.
pub fn refusal(url: &str, status: u16) -> String {
    let host = host(url);
    match status {
        401 | 403 => {
            format!("{host} gives this model only to accounts that accepted its terms: fetch it with the daemon")
        }
        404 | 410 => format!("{host} does not have this model any more: it was moved, removed or made private"),
        status => format!("{host} answers {status}"),
    }
}

/// The bytes of an answer as they come.
pub struct Body(ReadableStreamDefaultReader);

impl Body {
    /// # Errors
    /// The answer has none.
    pub fn of(response: &Response) -> Result<Self, String> {
        let stream = response.body().ok_or("The answer is empty")?;
        ReadableStreamDefaultReader::new(&stream).map(Self).map_err(|_| "The answer cannot be read".to_owned())
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The connection broke off.
    pub async fn next(&self) -> Result<Option<Vec<u8>>, String> {
        let read = JsFuture::from(self.0.read()).await.map_err(|_| "The connection broke off".to_owned())?;
        let get = |name: &str| Reflect::get(&read, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if get("done").is_truthy() {
            return Ok(None);
        }
        Ok(Some(get("value").dyn_into::<Uint8Array>().map(|bytes| bytes.to_vec()).unwrap_or_default()))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // What still comes is not wanted; nobody waits for the answer to that.
        let _ = self.0.cancel();
    }
}

/// The host of an address, for people; the server of the page for a path.
pub fn host(url: &str) -> &str {
    let host = url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    host.unwrap_or("The server")
}

fn broken(url: &str) -> String {
    format!("{} gives an answer that makes no sense here", host(url))
}

//! A store that speaks as much of S3 as blobs need, in memory, which goes down as it is told.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use fresco_daemon::images::{BlobHash, S3};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::net::TcpListener;

const KEY: &str = "AKIDFRESCO";

/// The store.
#[derive(Clone)]
pub struct Bucket {
    /// Its address.
    pub endpoint: String,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, Bytes>>,
    down: AtomicBool,
    refused: AtomicUsize,
}

impl Bucket {
    /// A store on a port of its own.
    pub async fn start() -> Self {
        let state = Arc::<Shared>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fresco_daemon::tls::install();
        Self { endpoint, state }
    }

    /// How a daemon gets at it.
    pub fn settings(&self) -> S3 {
        let keys = Some((KEY.to_owned(), "secret".to_owned()));
        let place = S3::parse("s3://pictures/team/a").expect("a place");
        S3 { endpoint: Some(self.endpoint.clone()), keys, ..place }
    }

    /// Whether it answers nothing but 503.
    pub fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// What it holds, by path.
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        self.state.objects.lock().expect("no panic").clone()
    }

    /// Changes a byte of a blob.
    pub fn damage(&self, hash: &BlobHash) {
        let mut objects = self.state.objects.lock().expect("no panic");
        let object = objects.get_mut(&Self::path(hash)).expect("is there");
        let mut bytes = object.to_vec();
        bytes[0] ^= 1;
        *object = bytes.into();
    }

    /// Requests without a signature, or with the wrong check sum.
    pub fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }

    /// Where it keeps a blob.
    pub fn path(hash: &BlobHash) -> String {
        let name = hash.to_string();
        format!("/pictures/team/a/sha256/{}/{name}", &name[..2])
    }
}

async fn answer(
    State(state): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if state.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if !is_signed(&uri, &headers) || (method == Method::PUT && !is_whole(&headers, &body)) {
        state.refused.fetch_add(1, Ordering::SeqCst);
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut objects = state.objects.lock().expect("no panic");
    let path = uri.path().to_owned();
    match method {
        Method::PUT => {
            objects.insert(path, body);
            ([(header::ETAG, "\"1\"")], ()).into_response()
        }
        Method::DELETE => {
            objects.remove(&path);
            StatusCode::NO_CONTENT.into_response()
        }
        Method::GET | Method::HEAD => match objects.get(&path) {
            None => StatusCode::NOT_FOUND.into_response(),
            Some(object) => deliver(object, &headers),
        },
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}

fn deliver(object: &Bytes, headers: &HeaderMap) -> Response {
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes="));
    let range = range.and_then(|range| range.split_once('-'));
    let mut response = match range.map(|(first, last)| (first.parse::<usize>(), last.parse::<usize>())) {
        Some((Ok(first), Ok(last))) if first < object.len() => {
            let end = (last + 1).min(object.len());
            let said = format!("bytes {first}-{}/{}", end - 1, object.len());
            let part = object.slice(first..end);
            (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, said)], part).into_response()
        }
        Some(_) => StatusCode::RANGE_NOT_SATISFIABLE.into_response(),
        None => object.clone().into_response(),
    };
    let set = response.headers_mut();
    set.insert(header::ETAG, HeaderValue::from_static("\"1\""));
    set.insert(header::LAST_MODIFIED, HeaderValue::from_static("Fri, 20 Nov 2026 10:00:00 GMT"));
    response
}

/// Whether a request is signed with our key, in its header or in its address. The signature itself is not computed.
fn is_signed(uri: &Uri, headers: &HeaderMap) -> bool {
    let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let by_header = said.starts_with(&format!("AWS4-HMAC-SHA256 Credential={KEY}/"))
        && said.contains("SignedHeaders=")
        && said.contains("Signature=")
        && headers.contains_key("x-amz-date");
    let query = uri.query().unwrap_or_default();
    let by_address = query.contains(&format!("X-Amz-Credential={KEY}%2F"))
        && ["X-Amz-Signature=", "X-Amz-Expires=", "X-Amz-Date="].iter().all(|part| query.contains(part));
    by_header || by_address
}

/// Whether the body is what the sender says that it sent.
fn is_whole(headers: &HeaderMap, body: &Bytes) -> bool {
    let said = headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    said == Some(&BlobHash::of(body).to_string()) && headers.contains_key("x-amz-checksum-sha256")
}

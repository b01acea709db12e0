//! What a page from elsewhere must not do to a daemon on somebody's machine.
//!
//! A browser sends anybody's requests to 127.0.0.1. A name of an attacker's that resolves there
//! (rebinding) is told by its `Host`; a form or script on another site by `Sec-Fetch-Site` and
//! `Origin`. Answers tell the browser what the page may load.

use super::{error::Failure, tab_hub::TabHub};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use fresco_api::{ApiError, ErrorCode};
use std::{net::IpAddr, sync::Arc};

/// Names by which the server may be addressed.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    names: Arc<[String]>,
    bound: IpAddr,
}

impl Hosts {
    /// Loopback, the bound address, and `names`.
    pub fn new(names: &[String], bound: IpAddr) -> Self {
        Self { names: names.iter().map(|name| name.to_lowercase()).collect(), bound }
    }

    /// Whether an authority such as `localhost:7860` means this server. Ports are not compared: a
    /// tunnel may have another.
    fn admit(&self, authority: &Authority) -> bool {
        let host = authority.host().trim_end_matches('.').to_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            // An address cannot be rebound: whoever uses it has meant it.
            Ok(address) => address.is_loopback() || self.bound.is_unspecified() || address == self.bound,
            Err(_) => host == "localhost" || host.ends_with(".localhost") || self.names.contains(&host),
        }
    }
}

/// What every request is held to, and every answer says.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    hosts: Hosts,
    policy: HeaderValue,
}

impl Guard {
    /// For a server of these names, whose page may ask this hub.
    pub fn new(hosts: Hosts, hub: &TabHub) -> Self {
        Self { hosts, policy: hub.policy(CONTENT_SECURITY_POLICY) }
    }
}

/// Refuses what comes from elsewhere, and sets the headers of every answer.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match check(&guard.hosts, &request) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, guard.policy);
    response
}

fn check(hosts: &Hosts, request: &Request) -> Result<(), Failure> {
    let headers = request.headers();
    let named = header_authority(headers);
    let mut said = request.uri().authority().into_iter().chain(&named).peekable();
    if said.peek().is_none() || !said.all(|authority| hosts.admit(authority)) {
        let message = "This server is not addressed by that name; see --allow-host";
        return Err(Failure::new(StatusCode::MISDIRECTED_REQUEST, ErrorCode::Forbidden, message));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let host = request.uri().authority().or(named.as_ref());
    if reads || same_site(headers, host) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::Forbidden, "Requests from other sites are refused").into())
}

fn header_authority(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

/// Whether a request that changes something comes from our own page, or from no page at all.
fn same_site(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let from = origin.split_once("://").map(|(_, authority)| authority);
            from.zip(host).is_some_and(|(from, host)| from.eq_ignore_ascii_case(host.as_str()))
        }
        // Not a browser.
        (None, None) => true,
    }
}

const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' data: blob:; connect-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; \
     frame-ancestors 'none'; form-action 'self'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(bound: &str, host: &str) -> bool {
        let hosts = Hosts::new(&["Box.local".to_owned()], bound.parse().expect("an address"));
        hosts.admit(&host.parse().expect("an authority"))
    }

    #[test]
    fn loopback_and_listed_names_are_admitted() {
        for host in
            ["localhost", "LOCALHOST:7860", "localhost.", "127.0.0.1:1", "[::1]:7860", "a.localhost", "box.local"]
        {
            assert!(admits("127.0.0.1", host), "{host}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for host in
            ["evil.example", "localhost.evil.example", "192.168.1.5", "127.0.0.1.evil.example", "box.local.evil"]
        {
            assert!(!admits("127.0.0.1", host), "{host}");
        }
    }

    #[test]
    fn a_server_on_every_address_is_addressed_by_any() {
        assert!(admits("0.0.0.0", "192.168.1.5:7860"));
        assert!(!admits("0.0.0.0", "evil.example"));
        assert!(admits("192.168.1.5", "192.168.1.5"));
    }
}

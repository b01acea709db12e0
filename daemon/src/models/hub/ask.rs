//! One question to the hub: redirects by hand, the token for the hub alone, refusals told apart.

use super::{Hub, HubError, Repository};
use reqwest::{
    Response, StatusCode, Url,
    header::{self, HeaderMap, HeaderValue},
};
use std::time::Duration;

/// Redirects that are followed for one question.
const MOST_HOPS: usize = 5;
/// The longest that a hub may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An answer, and whether the hub itself gave it or a host that it pointed to.
pub(super) struct Answer {
    pub response: Response,
    pub from_hub: bool,
}

/// Why a question has no usable answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Asking again changes nothing.
    Final(HubError),
    /// It may be better in a moment.
    Again { reason: String, after: Option<Duration> },
}

impl From<HubError> for Trouble {
    fn from(error: HubError) -> Self {
        Trouble::Final(error)
    }
}

impl Trouble {
    pub fn again(reason: impl std::fmt::Display) -> Self {
        Trouble::Again { reason: reason.to_string(), after: None }
    }
}

impl Hub {
    /// Asks and follows redirects. The answer may be of any status but a redirect.
    pub(super) async fn ask(&self, what: &str, url: Url, headers: &HeaderMap) -> Result<Answer, Trouble> {
        let refuse = |reason: String| HubError::Redirect { what: what.to_owned(), reason };
        let home = self.settings.endpoint.origin();
        let mut url = url;
        // Once somebody else was asked, the token stays out even if he points back to the hub.
        let mut from_hub = true;
        for _ in 0..=MOST_HOPS {
            from_hub &= url.origin() == home;
            let mut ask = self.client.get(url.clone()).headers(headers.clone());
            // A compressed answer would have another length than the file.
            ask = ask.header(header::ACCEPT_ENCODING, "identity");
            if let (true, Some(token)) = (from_hub, self.settings.sendable_token()) {
                ask = ask.bearer_auth(token.secret());
            }
            let response = ask.send().await.map_err(|error| Trouble::again(plainly(&error)))?;
            let Some(target) = redirect(&response) else { return Ok(Answer { response, from_hub }) };
            let target = target.map_err(|reason| refuse(reason.to_owned()))?;
            let next = url.join(&target).map_err(|error| refuse(format!("its target is no address: {error}")))?;
            if !matches!(next.scheme(), "http" | "https") {
                return Err(refuse(format!("it leads to {}:", next.scheme())).into());
            }
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(refuse("it leads from https to http".to_owned()).into());
            }
            if !next.username().is_empty() || next.password().is_some() {
                return Err(refuse("its target has a user name in it".to_owned()).into());
            }
            url = next;
        }
        Err(refuse(format!("there are more than {MOST_HOPS}")).into())
    }

    /// Nothing for an answer that can be used; otherwise what its status means.
    pub(super) fn judge(&self, answer: &Answer, repository: &Repository, what: &str) -> Result<(), Trouble> {
        let Answer { response, from_hub } = answer;
        let status = response.status();
        if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(());
        }
        let again = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
        // A signed address at a host of the hub's expires; the hub gives a new one.
        if again || !from_hub {
            let reason = format!("it answers {}", status.as_u16());
            return Err(Trouble::Again { reason, after: wait(response.headers()) });
        }
        Err(self.refusal(status, response.headers(), repository, what).into())
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, repository: &Repository, what: &str) -> HubError {
        let said = headers.get("x-error-code").and_then(|value| value.to_str().ok());
        let (full_name, page) = (repository.full_name(), self.page(repository));
        let with_token = self.settings.sendable_token().is_some();
        if !with_token && self.settings.token.is_some() && matches!(status.as_u16(), 401 | 403) {
            let plain = "the hub asks for a token, which is never sent unencrypted; HF_ENDPOINT must begin with https";
            return HubError::Setting(plain.to_owned());
        }
        match (said, status.as_u16()) {
            (Some("GatedRepo"), _) if with_token => HubError::GatedWithoutAccess { repository: full_name, page },
            (Some("GatedRepo"), _) => HubError::GatedWithoutToken { repository: full_name, page },
            (Some("RepoNotFound"), _) => HubError::Missing { what: full_name, host: self.host() },
            (Some("RevisionNotFound"), _) => {
                HubError::Missing { what: format!("{full_name} at {}", repository.revision), host: self.host() }
            }
            (_, 404 | 410) => HubError::Missing { what: what.to_owned(), host: self.host() },
            (_, 401) if with_token => HubError::TokenRefused,
            (_, 401) => HubError::GatedWithoutToken { repository: full_name, page },
            (_, 403) if with_token => HubError::GatedWithoutAccess { repository: full_name, page },
            (_, 403) => HubError::GatedWithoutToken { repository: full_name, page },
            (_, status) => HubError::bad(what, format!("it answers {status}")),
        }
    }

    /// A whole small answer, asked for again a few times when something on the way breaks.
    pub(super) async fn small(
        &self,
        repository: &Repository,
        what: &str,
        url: Url,
        most: usize,
    ) -> Result<(HeaderMap, Vec<u8>), HubError> {
        let mut pause = self.settings.pause;
        let mut tries = 0;
        loop {
            let trouble = match self.small_once(repository, what, url.clone(), most).await {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Again { reason, after }) => (reason, after),
            };
            tries += 1;
            if tries == 4 {
                return Err(HubError::Unreachable { host: self.host(), reason: trouble.0 });
            }
            tokio::time::sleep(trouble.1.unwrap_or(pause)).await;
            pause *= 2;
        }
    }

    async fn small_once(
        &self,
        repository: &Repository,
        what: &str,
        url: Url,
        most: usize,
    ) -> Result<(HeaderMap, Vec<u8>), Trouble> {
        let mut answer = self.ask(what, url, &HeaderMap::new()).await?;
        self.judge(&answer, repository, what)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.response.chunk().await.map_err(|error| Trouble::again(plainly(&error)))? {
            if bytes.len() + chunk.len() > most {
                return Err(HubError::bad(what, format!("it is longer than {most} bytes")).into());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((answer.response.headers().clone(), bytes))
    }
}

/// Where an answer points, if it is a redirect.
fn redirect(response: &Response) -> Option<Result<String, &'static str>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = response.headers().get(header::LOCATION).map(HeaderValue::to_str);
    Some(match target {
        Some(Ok(target)) => Ok(target.to_owned()),
        _ => Err("it does not say where to"),
    })
}

/// `Retry-After` in seconds, bounded.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// An error and its innermost cause, without the address, which may be signed.
pub(super) fn plainly(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "nothing came for too long"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke off"
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| kind.to_owned(), |cause| format!("{kind} ({cause})"))
}

//! One file: fetched in as many attempts as it takes, resumed by range, hashed as it arrives, kept only if right.

use super::{
    Digest, Hub, HubError, Listed, Repository,
    ask::{Trouble, plainly},
    part::Part,
};
use reqwest::{
    Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
};
use std::{path::Path, time::Duration};

/// Attempts in a row that may bring nothing.
const MOST_STALLS: u32 = 5;
/// How often a file may turn out to be another one than listed.
const MOST_RESTARTS: u32 = 3;
/// Attempts for a file of any size, and one more for each MiB: a server that drips is left in the end.
const MOST_ATTEMPTS: u64 = 200;
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Whoever wants to know how far files are. Calls come from several files at once.
pub trait Watch: Sync {
    /// A file begins, or goes on with `have` bytes that are there already.
    fn started(&self, file: &Listed, have: u64);
    /// More bytes came.
    fn advanced(&self, file: &Listed, bytes: u64);
    /// What came is of no use: the file begins anew.
    fn restarted(&self, file: &Listed, lost: u64);
    /// The file is there and checked; `cached` when nothing had to be fetched.
    fn finished(&self, file: &Listed, cached: bool);
}

/// What an attempt led to.
enum Attempt {
    /// The whole file has come.
    Whole,
    /// The server has another version than the part is of.
    Other(String),
}

impl Hub {
    /// Fetches a file of a repository at `commit` to the path `whole`; there is nothing at that path until it is right.
    ///
    /// # Errors
    /// The hub refuses it, breaks off too often, or keeps sending something else than it lists; or the disk fails.
    pub(crate) async fn fetch(
        &self,
        repository: &Repository,
        commit: &str,
        listed: &Listed,
        whole: &Path,
        watch: &dyn Watch,
    ) -> Result<(), HubError> {
        let mut part = open(whole, listed).await?;
        watch.started(listed, part.have);
        let (mut stalls, mut restarts, mut attempts) = (0, 0, 0);
        let mut last = String::new();
        loop {
            if part.have == listed.size {
                let lost = part.have;
                if part.finish(listed)? {
                    watch.finished(listed, false);
                    return Ok(());
                }
                watch.restarted(listed, lost);
                restarts += 1;
                last = format!("what the hub sends is not what it lists ({} differs)", listed.digest);
            }
            if restarts == MOST_RESTARTS {
                part.discard();
                return Err(HubError::differs(&listed.path, last));
            }
            attempts += 1;
            let before = part.have;
            let (reason, after) = match self.attempt(repository, commit, listed, &mut part, watch).await {
                Ok(Attempt::Whole) => continue,
                Ok(Attempt::Other(reason)) => {
                    watch.restarted(listed, part.have);
                    part.restart()?;
                    restarts += 1;
                    last = reason;
                    continue;
                }
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Again { reason, after }) => (reason, after),
            };
            stalls = if part.have > before { 0 } else { stalls + 1 };
            if stalls == MOST_STALLS || attempts > MOST_ATTEMPTS + (listed.size >> 20) {
                let reason = format!("{}: {reason}; what came is kept, pull again to go on", listed.path);
                return Err(HubError::Unreachable { host: self.host(), reason });
            }
            tokio::time::sleep(after.unwrap_or_else(|| self.pause(stalls))).await;
        }
    }

    /// Twice as long after each attempt that brought nothing.
    fn pause(&self, stalls: u32) -> Duration {
        self.settings.pause.saturating_mul(1 << stalls.min(6)).min(LONGEST_PAUSE)
    }

    async fn attempt(
        &self,
        repository: &Repository,
        commit: &str,
        listed: &Listed,
        part: &mut Part,
        watch: &dyn Watch,
    ) -> Result<Attempt, Trouble> {
        let Repository { owner, name, .. } = repository;
        let path: Vec<&str> = [&**owner, name, "resolve", commit].into_iter().chain(listed.path.split('/')).collect();
        let what = format!("{} of {}", listed.path, repository.full_name());
        let mut answer = self.ask(&what, self.url(&path), &range(part)).await?;
        self.judge(&answer, repository, &what)?;
        let response = &mut answer.response;
        let tag = etag(response.headers());
        match begin(response, listed, part) {
            // A tag that is known is not forgotten because one answer leaves it out.
            Begin::Append if tag.is_none() => {}
            Begin::Append => part.note(tag.as_deref())?,
            Begin::Anew => {
                if part.have > 0 {
                    watch.restarted(listed, part.have);
                    part.restart()?;
                }
                part.note(tag.as_deref())?;
            }
            Begin::Other(reason) => return Ok(Attempt::Other(reason)),
            Begin::Bad(reason) => return Err(Trouble::again(reason)),
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| Trouble::again(plainly(&error)))? {
            if part.have + chunk.len() as u64 > listed.size {
                return Ok(Attempt::Other(format!("the hub sends more than the {} bytes it lists", listed.size)));
            }
            self.rate.take(chunk.len()).await;
            part.push(&chunk)?;
            watch.advanced(listed, chunk.len() as u64);
        }
        if part.have == listed.size { Ok(Attempt::Whole) } else { Err(Trouble::again("the connection ended early")) }
    }
}

/// Reads through what is there already, which may be gigabytes, beside the other files.
async fn open(whole: &Path, listed: &Listed) -> Result<Part, HubError> {
    let (path, file) = (whole.to_owned(), listed.clone());
    let opened = tokio::task::spawn_blocking(move || Part::open(&path, &file)).await;
    opened.unwrap_or_else(|_| Err(HubError::disk(whole, std::io::Error::other("it could not be read"))))
}

/// Asks for what is missing, of the version that the part is of.
fn range(part: &Part) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if part.have == 0 {
        return headers;
    }
    if let Ok(value) = HeaderValue::from_str(&format!("bytes={}-", part.have)) {
        headers.insert(header::RANGE, value);
    }
    // Only a strong tag may stand there (RFC 9110, 13.1.5).
    let strong = part.etag().filter(|etag| etag.starts_with('"'));
    if let Some(Ok(value)) = strong.map(HeaderValue::from_str) {
        headers.insert(header::IF_RANGE, value);
    }
    headers
}

/// How an answer's body goes with what is there.
enum Begin {
    Append,
    Anew,
    Other(String),
    Bad(String),
}

fn begin(response: &Response, listed: &Listed, part: &Part) -> Begin {
    let size = listed.size;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let Some((start, total)) = content_range(response.headers()) else {
                return Begin::Bad("a part without a usable Content-Range".to_owned());
            };
            if total.is_some_and(|total| total != size) {
                return Begin::Other(format!("the hub has {} bytes and lists {size}", total.unwrap_or_default()));
            }
            if start != part.have {
                return Begin::Bad(format!("the part begins at {start} and not at {}", part.have));
            }
            match (part.etag(), etag(response.headers())) {
                (Some(old), Some(new)) if old != new && part.have > 0 => {
                    Begin::Other("it changed on the hub while it was fetched".to_owned())
                }
                // Without a digest, nothing but the tag tells one version from another.
                (old, new) if listed.digest == Digest::None && part.have > 0 && (old.is_none() || new.is_none()) => {
                    Begin::Other("nothing tells whether it changed while it was fetched".to_owned())
                }
                _ => Begin::Append,
            }
        }
        // The range was not understood, or the version changed: the whole comes.
        StatusCode::OK => match response.content_length() {
            Some(length) if length != size => Begin::Bad(format!("it says {length} bytes and lists {size}")),
            _ => Begin::Anew,
        },
        StatusCode::RANGE_NOT_SATISFIABLE => Begin::Other("the hub has fewer bytes than it lists".to_owned()),
        status => Begin::Bad(format!("it answers {}", status.as_u16())),
    }
}

fn etag(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::ETAG)?.to_str().ok()?;
    (text.len() <= 300).then(|| text.to_owned())
}

/// The first byte and the whole length in `bytes 5-9/10` or `bytes 5-9/*`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    match total {
        "*" => Some((start, None)),
        total => Some((start, Some(total.parse().ok()?))),
    }
}

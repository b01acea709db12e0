//! One file: fetched in as many attempts as it takes, resumed by range, hashed as it arrives, marked only if right.

use super::{
    digest::{self, Running},
    net::{self, Body},
};
use fresco_web::{
    opfs::{Access, Folder, Opened},
    shelf::{MARK, Planned, encoded},
    wait::wait,
};
use web_sys::{AbortSignal, Response};

/// Attempts in a row that may bring nothing.
const MOST_STALLS: u32 = 5;
/// How often a file may turn out to be another one than listed.
const MOST_RESTARTS: u32 = 3;
/// The first pause between attempts, in milliseconds; it doubles with each that brought nothing.
const PAUSE_MS: i32 = 300;

/// Whoever wants to know how far it is: bytes of this file that are there. Answers whether to go on.
pub trait Tell {
    /// So many bytes are there.
    async fn at(&mut self, bytes: u64) -> bool;
}

/// Why an attempt brought no whole file.
enum Trouble {
    /// Asking again changes nothing.
    Final(String),
    /// It may be better in a moment.
    Again(String),
    /// What came is of no use.
    Anew(String),
}

/// A file on its way.
struct Part<'a> {
    planned: &'a Planned,
    file: Opened,
    have: u64,
    running: Running,
}

/// Brings a file into `folder`, and its mark beside it.
///
/// # Errors
/// The server refuses it, breaks off too often, or keeps sending something else than it lists; the browser refuses;
/// or it was stopped. What came is kept, unless it is wrong.
pub async fn fetch(folder: &Folder, planned: &Planned, stop: &AbortSignal, tell: &mut impl Tell) -> Result<(), String> {
    let name = encoded(&planned.file.path);
    let mut part = Part::open(folder, &name, planned, tell).await?;
    let (mut stalls, mut restarts) = (0, 0);
    loop {
        if part.have == planned.file.size {
            if let Some(mark) = digest::judged(&part.file, &planned.file, part.running.clone()).await? {
                part.file.flush()?;
                return folder.write(&(name + MARK), &mark).await;
            }
            restarts += 1;
            part.restart()?;
            if restarts == MOST_RESTARTS {
                return Err(format!(
                    "{}: what comes is not what was listed; nothing of it was kept",
                    planned.file.path
                ));
            }
        }
        let before = part.have;
        let Err(trouble) = part.attempt(stop, tell).await else { continue };
        if stop.aborted() {
            return Err("Stopped".to_owned());
        }
        let reason = match trouble {
            Trouble::Final(reason) => return Err(reason),
            Trouble::Again(reason) => reason,
            Trouble::Anew(reason) => {
                restarts += 1;
                part.restart()?;
                reason
            }
        };
        stalls = if part.have > before { 0 } else { stalls + 1 };
        if stalls == MOST_STALLS || restarts == MOST_RESTARTS {
            return Err(format!("{}: {reason}; what came is kept", planned.file.path));
        }
        wait(PAUSE_MS << stalls.min(6)).await;
    }
}

impl<'a> Part<'a> {
    /// Opens what is there and reads it through.
    async fn open(folder: &Folder, name: &str, planned: &'a Planned, tell: &mut impl Tell) -> Result<Self, String> {
        let file = folder.open(name, Access::Write).await?;
        let mut have = file.length()?;
        if have > planned.file.size {
            file.truncate(0)?;
            have = 0;
        }
        let running = digest::of_part(&file, have, async |at| tell.at(at).await).await?;
        Ok(Self { planned, file, have, running })
    }

    fn restart(&mut self) -> Result<(), String> {
        self.file.truncate(0)?;
        (self.have, self.running) = (0, Running::default());
        Ok(())
    }

    async fn attempt(&mut self, stop: &AbortSignal, tell: &mut impl Tell) -> Result<(), Trouble> {
        let (size, url) = (self.planned.file.size, &self.planned.url);
        let response = net::ask(url, self.have, stop).await.map_err(Trouble::Again)?;
        self.begin(&response)?;
        let body = Body::of(&response).map_err(Trouble::Again)?;
        while let Some(bytes) = body.next().await.map_err(Trouble::Again)? {
            if self.have + bytes.len() as u64 > size {
                return Err(Trouble::Anew(format!("more comes than the {size} bytes that were listed")));
            }
            self.file.write(&bytes, self.have).map_err(Trouble::Final)?;
            self.running.update(&bytes);
            self.have += bytes.len() as u64;
            if !tell.at(self.have).await {
                return Err(Trouble::Final("Stopped".to_owned()));
            }
        }
        if self.have == size { Ok(()) } else { Err(Trouble::Again("the connection ended early".to_owned())) }
    }

    /// Whether an answer's body goes behind what is there. A whole file takes its place.
    fn begin(&mut self, response: &Response) -> Result<(), Trouble> {
        match response.status() {
            206 => match first_byte(response) {
                // A hub on another origin may not let the page see the header; the digest tells in the end.
                None => Ok(()),
                Some(first) if first == self.have => Ok(()),
                Some(_) => Err(Trouble::Again("the server sends another part than asked for".to_owned())),
            },
            200 => self.restart().map_err(Trouble::Final),
            416 => Err(Trouble::Anew("the server has fewer bytes than were listed".to_owned())),
            status @ (401 | 403 | 404 | 410) => Err(Trouble::Final(net::refusal(&self.planned.url, status))),
            status => Err(Trouble::Again(format!("the server answers {status}"))),
        }
    }
}

/// The first byte in `bytes 5-9/10`.
fn first_byte(response: &Response) -> Option<u64> {
    let header = response.headers().get("content-range").ok().flatten()?;
    header.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

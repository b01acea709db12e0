//! What a repository holds: names, lengths and digests, pinned to one commit and checked before anything is believed.

use super::{Digest, Hub, HubError, Repository, name};
use reqwest::{
    Url,
    header::{self, HeaderMap},
};
use serde::Deserialize;
use std::collections::HashSet;

/// A page of a listing is no longer.
const PAGE_BYTES: usize = 8 << 20;
/// A repository of models has no more pages or files.
const MOST_PAGES: usize = 20;
const MOST_FILES: usize = 20_000;
/// No file is larger.
const LARGEST: u64 = 1 << 40;

/// One file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its checked path, with `/` between parts.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// What its bytes are.
    pub digest: Digest,
}

/// A repository at one commit.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The commit, or the revision where the hub does not say.
    pub commit: String,
    /// Its files.
    pub files: Vec<Listed>,
}

impl Listing {
    /// A file by its path.
    pub fn file(&self, path: &str) -> Option<&Listed> {
        self.files.iter().find(|file| file.path == path)
    }
}

#[derive(Deserialize)]
struct Revision {
    sha: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    oid: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

impl Hub {
    /// Lists a repository, pinned to the commit that its revision means now.
    ///
    /// # Errors
    /// The hub cannot be reached, has no such repository, or its answer cannot be used.
    pub async fn list(&self, repository: &Repository) -> Result<Listing, HubError> {
        let commit = self.commit(repository).await?;
        let Repository { owner, name, .. } = repository;
        let mut next = Some(self.url(&["api", "models", owner, name, "tree", &commit]));
        if let Some(url) = &mut next {
            url.set_query(Some("recursive=true"));
        }
        let what = format!("the list of files of {}", repository.full_name());
        let (mut files, mut pages) = (Vec::new(), 0);
        while let Some(url) = next.take() {
            pages += 1;
            if pages > MOST_PAGES {
                return Err(HubError::bad(&what, format!("it has more than {MOST_PAGES} pages")));
            }
            let (headers, bytes) = self.small(repository, &what, url.clone(), PAGE_BYTES).await?;
            let items: Vec<Item> = serde_json::from_slice(&bytes).map_err(|error| HubError::bad(&what, error))?;
            for item in items.into_iter().filter(|item| item.kind == "file") {
                files.push(item.listed(&what)?);
            }
            if files.len() > MOST_FILES {
                return Err(HubError::bad(&what, format!("it has more than {MOST_FILES} files")));
            }
            next = next_page(&url, &headers).filter(|next| next.origin() == self.settings.endpoint.origin());
        }
        // Names that differ in case only would be one file on some disks.
        let mut seen = HashSet::new();
        match files.iter().find(|file| !seen.insert(file.path.to_lowercase())) {
            Some(twice) => Err(HubError::bad(&what, format!("it names {:?} twice", twice.path))),
            None => Ok(Listing { commit, files }),
        }
    }

    async fn commit(&self, repository: &Repository) -> Result<String, HubError> {
        let Repository { owner, name, revision } = repository;
        let url = self.url(&["api", "models", owner, name, "revision", revision]);
        let what = repository.full_name();
        let (_, bytes) = self.small(repository, &what, url, PAGE_BYTES).await?;
        let Revision { sha } = serde_json::from_slice(&bytes).map_err(|error| HubError::bad(&what, error))?;
        let sha = sha.unwrap_or_else(|| revision.clone());
        if is_commit(&sha) { Ok(sha) } else { Err(HubError::bad(&what, "its commit is no plain word")) }
    }
}

impl Item {
    fn listed(self, what: &str) -> Result<Listed, HubError> {
        name::check(&self.path)?;
        let strange = || HubError::bad(what, format!("the digest of {:?} is none", self.path));
        let (size, digest) = match &self.lfs {
            Some(lfs) => {
                let digest = Digest::from_hex(lfs.oid.trim_start_matches("sha256:"));
                (lfs.size, digest.filter(|digest| matches!(digest, Digest::Sha256(_))).ok_or_else(strange)?)
            }
            None => {
                let digest = self.oid.as_deref().map_or(Some(Digest::None), Digest::from_hex);
                (self.size, digest.ok_or_else(strange)?)
            }
        };
        if size > LARGEST {
            return Err(HubError::bad(what, format!("{:?} would have {size} bytes", self.path)));
        }
        Ok(Listed { path: self.path, size, digest })
    }
}

/// Whether a commit's name can stand in an address: dots alone would lead to another place of the hub.
fn is_commit(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.len() <= 100 && name.chars().all(plain) && name.chars().any(|c| c.is_ascii_alphanumeric())
}

/// The next page, where the answer names one (RFC 8288).
fn next_page(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let links = headers.get(header::LINK)?.to_str().ok()?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let target = next.split_once('<')?.1.split_once('>')?.0;
    from.join(target).ok()
}

#[cfg(test)]
mod tests {
    use super::is_commit;

    #[test]
    fn a_commit_leads_nowhere_else() {
        for good in ["0123456789abcdef0123456789abcdef01234567", "main", "v1.0", "refs-pr-1"] {
            assert!(is_commit(good), "{good}");
        }
        for bad in ["", ".", "..", "...", "-", "a/b", "../x", "a b", "a?b", &"a".repeat(101)] {
            assert!(!is_commit(bad), "{bad}");
        }
    }
}

//! A client for hubs that speak Hugging Face's protocol: list a repository, fetch its files, trust nothing.

mod ask;
mod cache;
mod digest;
mod error;
mod fetch;
mod listing;
pub mod name;
mod part;
mod rate;
mod settings;
mod sha1;

pub use digest::{Digest, git_blob, sha256};
pub use error::HubError;
pub use fetch::Watch;
pub use listing::{Listed, Listing};
pub use settings::{Settings, Token};

pub(crate) use cache::cached_listing;
pub(crate) use part::{sync_folder, write_whole};

use rate::Rate;
use reqwest::Url;
use std::time::Duration;

/// A repository on a hub, `owner/name`, at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    owner: String,
    name: String,
    /// A branch, tag or commit.
    pub revision: String,
}

impl Repository {
    /// # Errors
    /// The name is not `owner/name`, or a part of it or the revision is no plain word.
    pub fn new(full_name: &str, revision: &str) -> Result<Self, HubError> {
        let wrong = || HubError::Setting(format!("{full_name:?} at {revision:?} is no repository"));
        let (owner, repository) = full_name.split_once('/').ok_or_else(wrong)?;
        let plain =
            |word: &str| name::is_plain(word) && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if ![owner, repository, revision].into_iter().all(plain) {
            return Err(wrong());
        }
        Ok(Self { owner: owner.to_owned(), name: repository.to_owned(), revision: revision.to_owned() })
    }

    /// `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// A hub and how it is asked.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    client: reqwest::Client,
    rate: Rate,
}

impl Hub {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// TLS cannot be set up on this machine.
    pub fn new(settings: Settings) -> Result<Self, HubError> {
        crate::tls::install();
        let client = reqwest::Client::builder()
            .user_agent(concat!("fresco/", env!("CARGO_PKG_VERSION")))
            // Redirects are followed by hand: the token must not go along.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(20))
            .read_timeout(settings.silence)
            .build();
        let client = client.map_err(|error| HubError::Setting(format!("no connection can be set up: {error}")))?;
        let rate = Rate::new(settings.max_rate);
        Ok(Self { settings, client, rate })
    }

    /// How it is asked.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn host(&self) -> String {
        self.settings.endpoint.host_str().unwrap_or_default().to_owned()
    }

    /// The page on which people read a repository's terms.
    fn page(&self, repository: &Repository) -> String {
        self.url(&[&repository.owner, &repository.name]).into()
    }

    /// An address below the endpoint; the parts are escaped.
    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.settings.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }
}

//! What can go wrong between this machine and a model hub, each in words that say what to do.

use std::{io, path::Path};

/// A model that could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Terms have to be accepted, and nobody said who asks.
    #[error(
        "{repository} is gated: accept its terms at {page}, make a read token in your account's settings, set HF_TOKEN to it and pull again"
    )]
    GatedWithoutToken {
        /// `owner/name`.
        repository: String,
        /// Where its terms are.
        page: String,
    },
    /// Terms have to be accepted by this token's account.
    #[error(
        "{repository} is gated and this token's account may not read it: accept its terms at {page}, or let the token read gated repositories"
    )]
    GatedWithoutAccess {
        /// `owner/name`.
        repository: String,
        /// Where its terms are.
        page: String,
    },
    /// The hub does not know the token.
    #[error("the hub does not accept the token: check HF_TOKEN, or the file `token` in HF_HOME")]
    TokenRefused,
    /// There is no such repository, revision or file, or it is private.
    #[error("{what} is not on the hub at {host}: it was moved, removed or made private")]
    Missing {
        /// What was looked for.
        what: String,
        /// The hub.
        host: String,
    },
    /// The hub cannot be reached, or broke off too often.
    #[error("{host}: {reason}")]
    Unreachable {
        /// The host that was asked.
        host: String,
        /// Why.
        reason: String,
    },
    /// An answer that no hub gives.
    #[error("{what}: the hub's answer cannot be used: {reason}")]
    BadAnswer {
        /// What was asked for.
        what: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A name that would be written outside the model's folder, or not as a plain file.
    #[error("the hub lists {name:?}, which is no plain path inside a folder; nothing was written")]
    BadName {
        /// The name, shortened.
        name: String,
    },
    /// A redirect that is not followed.
    #[error("{what}: the redirect is not followed: {reason}")]
    Redirect {
        /// What was asked for.
        what: String,
        /// Why.
        reason: String,
    },
    /// What came is not what was listed.
    #[error("{file}: {reason}; nothing of it was kept")]
    Differs {
        /// The file in the repository.
        file: String,
        /// How it differs.
        reason: String,
    },
    /// Nothing may be fetched.
    #[error("{what} is not in the cache, and HF_HUB_OFFLINE forbids to fetch it")]
    Offline {
        /// What was looked for.
        what: String,
    },
    /// The disk.
    #[error("{file}: {error}")]
    Disk {
        /// The file on this machine.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// A setting that cannot be used.
    #[error("{0}")]
    Setting(String),
}

impl HubError {
    pub(crate) fn disk(file: &Path, error: io::Error) -> Self {
        Self::Disk { file: file.display().to_string(), error }
    }

    pub(super) fn bad(what: &str, reason: impl std::fmt::Display) -> Self {
        Self::BadAnswer { what: what.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn differs(file: &str, reason: impl Into<String>) -> Self {
        Self::Differs { file: file.to_owned(), reason: reason.into() }
    }
}

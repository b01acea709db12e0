//! `fresco models`.

mod import;
mod inspect;
mod list;
mod pull;
mod rm;

use super::Problem;
use crate::models::{hub::HubError, inspect::InspectError, library::LibraryError, pull::PullError};
use clap::Subcommand;
use std::path::Path;

/// The models on this machine, and those that can be fetched.
#[derive(Debug, Subcommand)]
pub(super) enum Models {
    /// List them, with what is wrong with those that cannot be used, and those that can be pulled.
    List(list::List),
    /// Fetch a model; an interrupted pull goes on where it stopped.
    Pull(pull::Pull),
    /// Remove a model from this machine.
    Rm(rm::Rm),
    /// Put a diffusers folder or a single file of your own among the models.
    Import(import::Import),
    /// Show what a model is made of and what memory it takes.
    Inspect(inspect::Inspect),
}

impl Models {
    pub(super) async fn run(self, home: &Path) -> Result<(), Problem> {
        match self {
            Models::List(list) => list.run(home),
            Models::Pull(pull) => pull.run(home).await,
            Models::Rm(rm) => rm.run(home),
            Models::Import(import) => import.run(home),
            Models::Inspect(inspect) => inspect.run(home),
        }
    }
}

impl From<LibraryError> for Problem {
    fn from(error: LibraryError) -> Self {
        Problem::failed(error.to_string())
    }
}

impl From<HubError> for Problem {
    fn from(error: HubError) -> Self {
        Problem::failed(error.to_string())
    }
}

impl From<PullError> for Problem {
    fn from(error: PullError) -> Self {
        Problem::failed(error.to_string())
    }
}

impl From<InspectError> for Problem {
    fn from(error: InspectError) -> Self {
        Problem::failed(error.to_string())
    }
}

/// Bytes for people: `1.7 GiB`.
fn human(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

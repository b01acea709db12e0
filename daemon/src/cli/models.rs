//! `fresco models`.

use super::{Problem, say};
use crate::models::Catalogue;
use clap::Subcommand;
use fresco_api::ModelInfo;
use std::path::Path;

/// The models on this machine.
#[derive(Debug, Subcommand)]
pub(super) enum Models {
    /// List them, with what is wrong with those that cannot be used.
    List {
        /// One line of JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Models {
    pub(super) fn run(self, home: &Path) -> Result<(), Problem> {
        let Models::List { json } = self;
        let entries = Catalogue::new(home, Vec::new()).list();
        if json {
            let good: Vec<&ModelInfo> = entries.iter().flatten().map(|model| &model.info).collect();
            let line = serde_json::to_string(&good).map_err(|error| Problem::failed(error.to_string()))?;
            say(line);
            return Ok(());
        }
        say(format_args!("{:<24} {:>10} {:>7}  {}", "ID", "SIZE", "PIXELS", "DESCRIPTION"));
        for entry in &entries {
            match entry {
                Ok(model) => say(row(&model.info)),
                Err(broken) => say(format_args!("{:<24} {:>10} {:>7}  {}", broken.id.0, "broken", "", broken.error)),
            }
        }
        say(format_args!("Model folders (diffusers layout) go into {}", home.join("models").display()));
        Ok(())
    }
}

fn row(info: &ModelInfo) -> String {
    let size = indicatif::HumanBytes(info.bytes).to_string();
    format!("{:<24} {size:>10} {:>7}  {}", info.id.0, info.default_side, info.description)
}

//! `fresco models rm`.

use crate::{
    cli::{Problem, say},
    config::model_path,
    models::library::Library,
};
use clap::Args;
use std::path::Path;

/// Remove a model from this machine.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rm {
    /// Its name, as `fresco models list` shows it.
    id: String,
}

impl Rm {
    pub(super) fn run(self, home: &Path) -> Result<(), Problem> {
        let library = Library::new(home, model_path());
        let elsewhere = library.found().into_iter().find(|found| found.id == self.id);
        if let Some(found) = elsewhere.filter(|found| !found.path.starts_with(library.shelf())) {
            let path = found.path.display();
            return Err(Problem::failed(format!("{} is a model of your own at {path}; it is not removed", self.id)));
        }
        let place = library.remove(&self.id)?;
        say(format_args!("removed {}", place.display()));
        Ok(())
    }
}

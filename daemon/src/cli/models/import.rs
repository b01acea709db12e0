//! `fresco models import`.

use crate::{
    cli::{Problem, say},
    config::model_path,
    models::library::Library,
};
use clap::Args;
use std::path::{Path, PathBuf};

/// Put a diffusers folder or a single file of your own among the models.
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// A diffusers folder, or a .safetensors or .gguf file.
    path: PathBuf,
    /// The name to give it; its own otherwise.
    #[arg(long)]
    name: Option<String>,
    /// Copy it; otherwise it stays where it is and is linked.
    #[arg(long)]
    copy: bool,
}

impl Import {
    pub(super) fn run(self, home: &Path) -> Result<(), Problem> {
        let library = Library::new(home, model_path());
        let imported = library.import(&self.path, self.name.as_deref(), self.copy)?;
        let how = if imported.copied { "copied to" } else { "linked at" };
        say(format_args!("{} is {how} {}", imported.id, imported.place.display()));
        Ok(())
    }
}

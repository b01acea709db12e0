//! `fresco export`.

use super::{
    Problem,
    images::{Find, open},
    say,
};
use crate::images::export::{self, Exported, Selection};
use clap::Args;
use fresco_api::ImageId;
use std::path::{Path, PathBuf};

/// Write pictures and their parameters into a zip file.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Names of `fresco images list`; without any, all that are found.
    ids: Vec<String>,
    #[command(flatten)]
    find: Find,
    /// The zip file to write.
    #[arg(long, value_name = "FILE.zip", default_value = "fresco-images.zip")]
    out: PathBuf,
}

impl Export {
    pub(super) async fn run(self, home: &Path) -> Result<(), Problem> {
        let selection = match self.ids.is_empty() {
            true => Selection::Found(self.find.search()?),
            false if !self.find.is_nothing() => {
                return Err(Problem::usage("name pictures or look for them, not both"));
            }
            false => Selection::Ids(self.ids.into_iter().map(ImageId).collect()),
        };
        let images = open(home).await?;
        let problem = |error: &dyn std::fmt::Display| Problem::failed(format!("{}: {error}", self.out.display()));
        let file = tokio::fs::File::create(&self.out).await.map_err(|error| problem(&error))?;
        match export::write(&images, selection, file).await {
            Ok(Exported { pictures, left_out }) => {
                say(format_args!("{} ({pictures} pictures)", self.out.display()));
                match left_out.as_slice() {
                    [] => Ok(()),
                    [first, ..] => {
                        let count = left_out.len();
                        Err(Problem::failed(format!("{count} pictures are not there and were left out: {first} …")))
                    }
                }
            }
            Err(error) => {
                // Half a zip file is none.
                _ = tokio::fs::remove_file(&self.out).await;
                Err(problem(&error))
            }
        }
    }
}

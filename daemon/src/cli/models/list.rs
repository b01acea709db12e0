//! `fresco models list`.

use super::human;
use crate::{
    cli::{Problem, say},
    config::model_path,
    models::{
        BrokenModel, Catalogue, Entry,
        library::{Found, Library},
        published::{Precision, Published},
    },
};
use clap::Args;
use fresco_api::ModelInfo;
use serde::Serialize;
use std::{collections::HashSet, path::Path};

/// List models.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

/// One line of the list.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
enum Row<'a> {
    /// It can be used.
    Usable {
        #[serde(flatten)]
        info: &'a ModelInfo,
    },
    /// It is there and cannot be used.
    Unusable { id: &'a str, bytes: u64, reason: String },
    /// It can be pulled.
    Available {
        #[serde(flatten)]
        entry: &'a Published,
        about_bytes: u64,
    },
}

impl List {
    pub(super) fn run(self, home: &Path) -> Result<(), Problem> {
        let catalogue = Catalogue::new(home, Vec::new()).searching(home, model_path());
        let (entries, others) = (catalogue.list(), catalogue.others());
        let library = Library::new(home, model_path());
        let rows = rows(&entries, &others);
        if self.json {
            let line = serde_json::to_string(&rows).map_err(|error| Problem::failed(error.to_string()))?;
            say(line);
            return Ok(());
        }
        say(format_args!("{:<24} {:>10} {:>7}  {}", "ID", "SIZE", "PIXELS", "DESCRIPTION"));
        let (available, there): (Vec<&Row>, Vec<&Row>) =
            rows.iter().partition(|row| matches!(row, Row::Available { .. }));
        there.iter().for_each(|row| say(line(row)));
        if !available.is_empty() {
            say("\nTo fetch with `fresco models pull ID` (sizes of half-precision weights, about):");
        }
        available.iter().for_each(|row| say(line(row)));
        say(format_args!(
            "\nModels lie in {}; your own folders are searched when MODEL_PATH names them",
            library.shelf().display()
        ));
        Ok(())
    }
}

fn rows<'a>(entries: &'a [Entry], others: &'a [(Found, &str)]) -> Vec<Row<'a>> {
    let there = entries.iter().map(|entry| match entry {
        Ok(model) => Row::Usable { info: &model.info },
        Err(BrokenModel { id, error }) => Row::Unusable { id: &id.0, bytes: 0, reason: error.to_string() },
    });
    let others = others.iter().map(|(found, what)| {
        let reason = format!("{what}: {}", found.path.display());
        Row::Unusable { id: &found.id, bytes: found.bytes, reason }
    });
    let mut rows: Vec<Row> = there.chain(others).collect();
    let taken: HashSet<String> = rows.iter().map(|row| row.id().to_owned()).collect();
    let available = Published::all().iter().filter(|entry| entry.repository.is_some() && !taken.contains(&entry.id.0));
    rows.extend(available.map(|entry| Row::Available { entry, about_bytes: entry.about_bytes(Precision::Fp16) }));
    rows
}

impl Row<'_> {
    fn id(&self) -> &str {
        match self {
            Row::Usable { info } => &info.id.0,
            Row::Unusable { id, .. } => id,
            Row::Available { entry, .. } => &entry.id.0,
        }
    }
}

fn line(row: &Row) -> String {
    let size = |bytes: u64| if bytes == 0 { String::new() } else { human(bytes) };
    match row {
        Row::Usable { info } => {
            format!("{:<24} {:>10} {:>7}  {}", info.id.0, size(info.bytes), info.default_side, info.description)
        }
        Row::Unusable { id, bytes: 0, reason } => format!("{id:<24} {:>10} {:>7}  {reason}", "broken", ""),
        Row::Unusable { id, bytes, reason } => format!("{id:<24} {:>10} {:>7}  {reason}", size(*bytes), ""),
        Row::Available { entry, about_bytes } => {
            let side = entry.defaults.as_ref().map_or_else(String::new, |defaults| defaults.side.to_string());
            let Published { id, description, licence, .. } = entry;
            let gated = if licence.gated { ", terms to accept first" } else { "" };
            format!("{:<24} {:>10} {side:>7}  {description} [{}{gated}]", id.0, size(*about_bytes), licence.name)
        }
    }
}

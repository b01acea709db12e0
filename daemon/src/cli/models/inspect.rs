//! `fresco models inspect`.

use super::human;
use crate::{
    cli::{Problem, say, source},
    config::model_path,
    models::{
        ModelFiles,
        inspect::{self, Need, Part, Thrift, needs},
        library::{FoundKind, Library},
        machine::{Memory, memories},
        published::Published,
    },
};
use clap::Args;
use serde_json::json;
use std::path::Path;

/// Show what a model is made of and what memory it takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Inspect {
    /// A model's name, a diffusers folder, or a .safetensors file.
    model: String,
    /// The picture's side in pixels; the model's own otherwise.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(8..=8192))]
    side: Option<u32>,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

/// What was found out.
struct Report {
    parts: Vec<Part>,
    /// The model's own side in pixels.
    side: u32,
    /// Said by the catalogue, not read from files.
    from_catalogue: bool,
}

impl Inspect {
    pub(super) fn run(self, home: &Path) -> Result<(), Problem> {
        let report = self.report(home)?;
        let side = self.side.unwrap_or(report.side);
        let (needs, memories) = (needs(&report.parts, side), memories());
        if self.json {
            let memories: Vec<_> = memories
                .iter()
                .map(|memory| json!({"name": memory.name, "total": memory.total, "free": memory.free}))
                .collect();
            say(json!({"components": report.parts, "side": side, "needs": needs, "memories": memories}));
            return Ok(());
        }
        show_parts(&report);
        show_needs(side, &needs, &memories);
        Ok(())
    }

    fn report(&self, home: &Path) -> Result<Report, Problem> {
        let path = Path::new(&self.model);
        if path.is_file() {
            return single(path);
        }
        let found = Library::new(home, model_path()).found().into_iter().find(|found| found.id == self.model);
        let place = match found {
            Some(found) if matches!(found.kind, FoundKind::File) => return single(&found.path),
            Some(found) => Some(found.path),
            None => path.is_dir().then(|| path.to_owned()),
        };
        match (source::find(home, Some(&self.model)), place) {
            (Ok((_, model)), _) => {
                let parts = inspect::folder(&model.files)?;
                Ok(Report { parts, side: model.info.default_side, from_catalogue: false })
            }
            // A part of a model, or a kind that is not built, can still be looked at.
            (Err(_), Some(place)) => {
                let parts = inspect::folder(&ModelFiles::of_folder(&place))?;
                Ok(Report { side: guess_side(&parts), parts, from_catalogue: false })
            }
            (Err(problem), None) => {
                let entry = Published::find(&self.model).ok_or(problem)?;
                let side = entry.defaults.as_ref().map_or(512, |defaults| defaults.side);
                Ok(Report { parts: inspect::published(entry), side, from_catalogue: true })
            }
        }
    }
}

fn single(path: &Path) -> Result<Report, Problem> {
    let parts = inspect::single_file(path)?;
    Ok(Report { side: guess_side(&parts), parts, from_catalogue: false })
}

/// Large models were trained for large pictures.
fn guess_side(parts: &[Part]) -> u32 {
    if parts.iter().map(|part| part.parameters).sum::<u64>() > 2_000_000_000 { 1024 } else { 512 }
}

fn show_parts(report: &Report) {
    if report.from_catalogue {
        say("Not on this machine; the numbers are those of its published architecture.");
    }
    say(format_args!("{:<16} {:>14} {:>10}  {}", "COMPONENT", "PARAMETERS", "BYTES", "PRECISION"));
    for part in &report.parts {
        let types: Vec<String> = part.types.keys().map(|name| name.to_lowercase()).collect();
        let (name, parameters) = (&part.name, part.parameters);
        say(format_args!("{name:<16} {parameters:>14} {:>10}  {}", human(part.bytes), types.join(", ")));
    }
}

fn show_needs(side: u32, needs: &[Need], memories: &[Memory]) {
    say(format_args!("\nMemory for a picture of {side} x {side} pixels, estimated from sizes:"));
    for need in needs {
        if need.thrift == Thrift::HalfWeights {
            say("  What it would take with savings that are not built yet:");
        }
        let fits: Vec<String> = memories
            .iter()
            .map(|memory| {
                let fits = if need.bytes <= memory.free.unwrap_or(memory.total) { "fits" } else { "does not fit" };
                format!("{fits} {}", memory.name)
            })
            .collect();
        say(format_args!("  {:<32} {:>10}  {}", need.thrift.to_string(), human(need.bytes), fits.join("; ")));
    }
    for memory in memories {
        let free = memory.free.map_or_else(String::new, |free| format!(", {} of it free", human(free)));
        say(format_args!("This machine: {} of {}{free}", memory.name, human(memory.total)));
    }
}

//! `fresco models inspect`.

use super::human;
use crate::{
    cli::{Problem, say, source},
    config::model_path,
    models::{
        ModelFiles,
        inspect::{self, Line, Part, lines, outline},
        library::{FoundKind, Library},
        machine::{Memory, memories},
        published::Published,
    },
};
use clap::Args;
use fresco_diffusion::{Precision, fit::Outline};
use serde_json::json;
use std::path::Path;

/// Show what a model is made of and what memory it takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Inspect {
    /// A model's name, a diffusers folder, or a .safetensors or .gguf file.
    model: String,
    /// The picture's side in pixels; the model's own otherwise.
    #[arg(long, value_name = "PIXELS", value_parser = side())]
    side: Option<u32>,
    /// The picture's width in pixels.
    #[arg(long, value_name = "PIXELS", value_parser = side())]
    width: Option<u32>,
    /// The picture's height in pixels.
    #[arg(long, value_name = "PIXELS", value_parser = side())]
    height: Option<u32>,
    /// Only with weights of this precision: f32, f16, bf16, q8 or q4.
    #[arg(long)]
    precision: Option<Precision>,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

fn side() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(8..=8192)
}

/// What was found out.
struct Report {
    parts: Vec<Part>,
    outline: Outline,
    /// The model's own side in pixels.
    side: u32,
    /// Said by the catalogue, not read from files.
    from_catalogue: bool,
}

impl Inspect {
    pub(super) fn run(self, home: &Path) -> Result<(), Problem> {
        let report = self.report(home)?;
        let side = self.side.unwrap_or(report.side);
        let (width, height) = (self.width.unwrap_or(side), self.height.unwrap_or(side));
        let (needs, memories) = (lines(&report.outline, (width, height), self.precision), memories());
        if self.json {
            let memories: Vec<_> = memories
                .iter()
                .map(|memory| json!({"name": memory.name, "total": memory.total, "free": memory.free}))
                .collect();
            let (components, size) = (&report.parts, (width, height));
            say(json!({
                "components": components, "width": size.0, "height": size.1, "needs": needs, "memories": memories,
            }));
            return Ok(());
        }
        show_parts(&report);
        show_needs((width, height), &needs, &memories);
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
                let outline = outline(&parts, Some(&model.files));
                Ok(Report { parts, outline, side: model.info.default_side, from_catalogue: false })
            }
            // A part of a model, or a kind that is not built, can still be looked at.
            (Err(_), Some(place)) => {
                let parts = inspect::folder(&ModelFiles::of_folder(&place))?;
                Ok(guessed(parts))
            }
            (Err(problem), None) => {
                let entry = Published::find(&self.model).ok_or(problem)?;
                let side = entry.defaults.as_ref().map_or(512, |defaults| defaults.side);
                Ok(Report { side, from_catalogue: true, ..guessed(inspect::published(entry)) })
            }
        }
    }
}

fn single(path: &Path) -> Result<Report, Problem> {
    Ok(guessed(inspect::single_file(path)?))
}

/// What the sizes alone say.
fn guessed(parts: Vec<Part>) -> Report {
    Report { side: guess_side(&parts), outline: outline(&parts, None), parts, from_catalogue: false }
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

fn show_needs((width, height): (u32, u32), needs: &[Line], memories: &[Memory]) {
    say(format_args!("\nMemory for a picture of {width} x {height} pixels, estimated; with the first that fits:"));
    let mut by_hand = false;
    for line in needs {
        if !line.automatic && !by_hand {
            by_hand = true;
            say("  and by your own choice, since it is seen in the picture:");
        }
        let fits: Vec<String> = memories
            .iter()
            .map(|memory| {
                let fits = line.need.peak <= memory.free.unwrap_or(memory.total);
                format!("{} {}", if fits { "fits" } else { "does not fit" }, memory.name)
            })
            .collect();
        let (savings, peak) = (line.savings.to_string(), human(line.need.peak));
        say(format_args!("  {savings:<78} {peak:>10}  {}", fits.join("; ")));
    }
    if memories.is_empty() {
        say("How much memory this machine has is not known.");
    }
    for memory in memories {
        let free = memory.free.map_or_else(String::new, |free| format!(", {} of it free", human(free)));
        say(format_args!("This machine: {} of {}{free}", memory.name, human(memory.total)));
    }
}

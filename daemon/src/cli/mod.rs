//! The command line: what can be asked, and one line when it cannot be done.

mod browser;
mod doctor;
mod export;
mod extras;
mod generate;
mod images;
mod jobs;
mod memory;
mod models;
mod pictures;
mod progress;
mod serve;
mod source;

use crate::config::default_home;
use clap::{Parser, Subcommand};
use fresco_api::ApiError;
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Pictures from words, on your own machine.
#[derive(Debug, Parser)]
#[command(name = "fresco", version, propagate_version = true)]
pub struct Cli {
    /// Where models and other data live.
    #[arg(long, global = true, env = "FRESCO_HOME", value_name = "FOLDER")]
    home: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the page and the job interface.
    Serve(serve::Serve),
    /// Make one picture.
    Generate(Box<generate::Generate>),
    /// The models on this machine.
    #[command(subcommand)]
    Models(models::Models),
    /// The finished pictures.
    #[command(subcommand)]
    Images(images::Pictures),
    /// The queue's jobs.
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Write pictures and their parameters into a zip file.
    Export(export::Export),
    /// Show the devices on this machine, which one is used, and why.
    Doctor(doctor::Doctor),
}

impl Cli {
    /// The log's level when `RUST_LOG` says nothing: a command that makes one thing and ends is quiet.
    pub fn log_level(&self) -> &'static str {
        match self.command {
            Command::Serve(_) => "info",
            _ => "off",
        }
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// A line that says what is wrong, and the exit code.
    pub async fn run(self) -> Result<(), Problem> {
        let home = self.home.or_else(default_home);
        let home = home.ok_or_else(|| Problem::usage("there is no home folder; say --home FOLDER"))?;
        match self.command {
            Command::Serve(serve) => serve.run(home).await,
            Command::Generate(generate) => generate.run(&home).await,
            Command::Models(models) => models.run(&home).await,
            Command::Images(images) => images.run(&home).await,
            Command::Jobs(jobs) => jobs.run(&home).await,
            Command::Export(export) => export.run(&home).await,
            Command::Doctor(doctor) => doctor.run(&home),
        }
    }
}

/// Why a command did not do what was asked: one line and an exit code.
#[derive(Debug)]
pub struct Problem {
    code: u8,
    line: String,
}

impl Problem {
    /// It could not be done.
    pub fn failed(line: impl Into<String>) -> Self {
        Self { code: 1, line: line.into() }
    }

    /// It was asked wrongly.
    pub fn usage(line: impl Into<String>) -> Self {
        Self { code: 2, line: line.into() }
    }

    /// The user stopped it.
    fn interrupted() -> Self {
        Self { code: 130, line: "cancelled".to_owned() }
    }

    /// Prints the line to stderr.
    pub fn report(self) -> ExitCode {
        // A message from a system or a driver may have several lines.
        let line = self.line.split_whitespace().collect::<Vec<_>>().join(" ");
        _ = writeln!(io::stderr(), "error: {line}");
        ExitCode::from(self.code)
    }
}

impl From<clap::Error> for Problem {
    fn from(error: clap::Error) -> Self {
        let text = error.render().to_string();
        // What follows is the usage, which `--help` shows, and a word about `--help`.
        let said = text.split("\n\nUsage:").next().unwrap_or_default();
        let said = said.split("\n\nFor more information").next().unwrap_or_default();
        Self::usage(said.trim_start_matches("error:").trim())
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error.field {
            Some(field) => Self::failed(format!("{field}: {}", error.message)),
            None => Self::failed(error.message),
        }
    }
}

/// A line for whoever reads stdout; when nobody does any more, that is no mistake.
fn say(line: impl std::fmt::Display) {
    _ = writeln!(io::stdout(), "{line}");
}

//! `fresco jobs`.

use super::{Problem, say};
use crate::{
    config::QueueLimits,
    data::Database,
    queue::{
        SqliteStore,
        store::{Filter, JobReads, StoreError},
    },
};
use clap::{Args, Subcommand, ValueEnum};
use fresco_api::{Job, JobId, JobStatus, routes};
use std::path::Path;

/// The queue's jobs, as the database has them; a daemon may be working on them.
#[derive(Debug, Subcommand)]
pub(super) enum Jobs {
    /// List them, the newest first.
    List(List),
    /// Show one, with the paths of its pictures.
    Show(Show),
}

/// List jobs.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those that are so.
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// Only those with this text in the prompt.
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

/// Show a job.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its name, as `fresco jobs list` shows it.
    id: String,
}

/// [`JobStatus`] as an option.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Queued,
    Processing,
    Completed,
    Failed,
    Dead,
    Cancelled,
}

impl Jobs {
    pub(super) async fn run(self, home: &Path) -> Result<(), Problem> {
        let data = Database::open(home).await.map_err(|error| Problem::failed(error.to_string()))?;
        let store = SqliteStore::new(data, QueueLimits::default());
        match self {
            Jobs::List(list) => list.run(&store).await,
            Jobs::Show(Show { id }) => {
                let stored = store.job(&JobId(id)).await?.ok_or_else(|| Problem::failed("There is no such job"))?;
                let mut job = stored.job;
                if let Some(result) = &mut job.result {
                    result.images = stored.outputs.iter().map(|output| routes::image(&output.image)).collect();
                }
                let text = serde_json::to_string_pretty(&job);
                say(text.map_err(|error| Problem::failed(error.to_string()))?);
                Ok(())
            }
        }
    }
}

impl List {
    async fn run(self, store: &SqliteStore) -> Result<(), Problem> {
        let (status, dead) = match self.status {
            None => (None, false),
            Some(Status::Dead) => (None, true),
            Some(Status::Queued) => (Some(JobStatus::Queued), false),
            Some(Status::Processing) => (Some(JobStatus::Processing), false),
            Some(Status::Completed) => (Some(JobStatus::Completed), false),
            Some(Status::Failed) => (Some(JobStatus::Failed), false),
            Some(Status::Cancelled) => (Some(JobStatus::Cancelled), false),
        };
        let filter = Filter { status, dead, prompt: self.query, before: None, limit: self.limit.into() };
        let jobs = store.newest(filter).await?;
        if self.json {
            say(serde_json::to_string(&jobs).map_err(|error| Problem::failed(error.to_string()))?);
            return Ok(());
        }
        say(format_args!("{:<36} {:<16} {:<10} {:>4}  {}", "ID", "DATE", "STATUS", "%", "PROMPT"));
        jobs.iter().for_each(|job| say(line(job)));
        Ok(())
    }
}

fn line(job: &Job) -> String {
    let status = match job.status {
        _ if job.dead => "dead",
        JobStatus::Queued => "queued",
        JobStatus::Processing => "processing",
        JobStatus::Completed => "completed",
        JobStatus::Failed => "failed",
        JobStatus::Cancelled => "cancelled",
    };
    let (day, minute) = (job.created_at.get(..10).unwrap_or_default(), job.created_at.get(11..16).unwrap_or_default());
    let prompt = super::images::one_line(&job.request.image().prompt);
    format!("{:<36} {day} {minute} {status:<10} {:>4}  {prompt}", job.id.0, job.progress)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Problem::failed(error.to_string())
    }
}

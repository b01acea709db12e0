//! `fresco images`.

use super::{Problem, say};
use crate::{
    data::{self, Database},
    images::{
        ImageError, Images, S3, StorageError,
        question::{self, Pair},
        search::Search,
    },
};
use clap::{Args, Subcommand};
use fresco_api::{ApiError, ImageChange, ImageId, ImagePage, StoredImage};
use std::path::Path;

/// The finished pictures.
#[derive(Debug, Subcommand)]
pub(super) enum Pictures {
    /// List them, the newest first.
    List(List),
    /// Show what is known about one.
    Show(Show),
    /// Remove pictures, with their files.
    Rm(Rm),
    /// Tag a picture, or make it a favourite.
    Tag(Tag),
}

/// Which pictures.
#[derive(Debug, Args)]
pub(super) struct Find {
    /// Words of the prompt, in any order.
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// The model that made them.
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// Favourites only.
    #[arg(long)]
    favourite: bool,
    /// A tag; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// From this day or time on, as 2026-11-20.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Up to this day, or before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

/// List pictures.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    find: Find,
    /// So many, at most 200.
    #[arg(long, value_name = "N", default_value = "50")]
    limit: String,
    /// The next page, after the name with which the last one ended.
    #[arg(long, value_name = "ID")]
    cursor: Option<String>,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

/// Show a picture.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its name, as `fresco images list` shows it.
    id: String,
}

/// Remove pictures.
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// Their names, as `fresco images list` shows them.
    #[arg(required = true)]
    ids: Vec<String>,
}

/// Tag a picture.
#[derive(Debug, Args)]
pub(super) struct Tag {
    /// Its name, as `fresco images list` shows it.
    id: String,
    /// Adds a tag; may be given several times.
    #[arg(long, value_name = "TAG")]
    add: Vec<String>,
    /// Takes a tag away; may be given several times.
    #[arg(long, value_name = "TAG")]
    remove: Vec<String>,
    /// Whether it is a favourite.
    #[arg(long, value_name = "true|false")]
    favourite: Option<bool>,
}

impl Pictures {
    pub(super) async fn run(self, home: &Path) -> Result<(), Problem> {
        let images = open(home).await?;
        match self {
            Pictures::List(list) => list.run(&images).await,
            Pictures::Show(Show { id }) => {
                let image = images.find(&ImageId(id)).await?.image;
                let text = serde_json::to_string_pretty(&image);
                say(text.map_err(|error| Problem::failed(error.to_string()))?);
                Ok(())
            }
            Pictures::Rm(Rm { ids }) => remove(home, &images, ids).await,
            Pictures::Tag(tag) => tag.run(&images).await,
        }
    }
}

/// The pictures of a data folder; their files are where `FRESCO_STORAGE` says.
pub(super) async fn open(home: &Path) -> Result<Images, Problem> {
    let data = Database::open(home).await.map_err(|error| Problem::failed(error.to_string()))?;
    let s3 = storage(std::env::var("FRESCO_STORAGE").ok().as_deref())?;
    Ok(Images::open(home, s3.as_ref(), data.reader().clone(), data.writer().clone())?)
}

/// Where files are kept: in the data folder when nothing is said.
pub(super) fn storage(said: Option<&str>) -> Result<Option<S3>, Problem> {
    match said.filter(|said| !said.is_empty()) {
        None => Ok(None),
        Some(url) => S3::parse(url).map(Some).map_err(|error| Problem::usage(format!("FRESCO_STORAGE: {error}"))),
    }
}

impl Find {
    /// Whether anything is asked.
    pub(super) fn is_nothing(&self) -> bool {
        self.pairs().is_empty()
    }

    pub(super) fn search(&self) -> Result<Search, ApiError> {
        question::search(&self.pairs())
    }

    fn pairs(&self) -> Vec<Pair> {
        let favourite = self.favourite.then(|| "true".to_owned());
        let one = [
            ("q", &self.query),
            ("model", &self.model),
            ("favourite", &favourite),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let one = one.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        one.chain(self.tags.iter().map(|tag| ("tag".to_owned(), tag.clone()))).collect()
    }
}

impl List {
    async fn run(self, images: &Images) -> Result<(), Problem> {
        let cursor = self.cursor.map(|cursor| ("cursor".to_owned(), cursor));
        let pairs: Vec<Pair> = cursor.into_iter().chain([("limit".to_owned(), self.limit)]).collect();
        let (cursor, limit) = (question::cursor(&pairs)?, question::limit(&pairs)?);
        let (found, next) = images.page(&self.find.search()?, cursor.as_ref(), limit).await?;
        let found: Vec<StoredImage> = found.into_iter().map(|stored| stored.image).collect();
        if self.json {
            let page = ImagePage { images: found, next_cursor: next.map(|id| id.0) };
            say(serde_json::to_string(&page).map_err(|error| Problem::failed(error.to_string()))?);
            return Ok(());
        }
        say(format_args!("{:<36} {:<16} {:>9} {:<14} {}", "ID", "DATE", "PIXELS", "MODEL", "PROMPT"));
        found.iter().for_each(|image| say(line(image)));
        if let Some(next) = next {
            say(format_args!("\nMore with --cursor {next}"));
        }
        Ok(())
    }
}

fn line(image: &StoredImage) -> String {
    let StoredImage { id, width, height, created_at, favourite, tags, parameters, .. } = image;
    let star = if *favourite { "* " } else { "" };
    let tags: String = tags.iter().map(|tag| format!(" #{tag}")).collect();
    let prompt = one_line(&parameters.prompt);
    let (day, minute) = (created_at.get(..10).unwrap_or_default(), created_at.get(11..16).unwrap_or_default());
    let size = format!("{width}x{height}");
    format!("{id:<36} {day} {minute} {size:>9} {:<14} {star}{prompt}{tags}", parameters.model.0)
}

/// The beginning of a prompt in one line, whatever it has in it.
pub(super) fn one_line(prompt: &str) -> String {
    let prompt = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    prompt.chars().filter(|letter| !letter.is_control()).take(60).collect()
}

async fn remove(home: &Path, images: &Images, ids: Vec<String>) -> Result<(), Problem> {
    let alone = data::alone(home).map_err(|error| Problem::failed(format!("{}: {error}", home.display())))?;
    for id in ids {
        let id = ImageId(id);
        let removed = if alone.is_some() { images.remove(&id).await } else { images.remove_row(&id).await };
        removed.map_err(|error| Problem::failed(format!("{id}: {}", ApiError::from(error).message)))?;
        say(format_args!("removed {id}"));
    }
    Ok(())
}

impl Tag {
    async fn run(self, images: &Images) -> Result<(), Problem> {
        let id = ImageId(self.id);
        let mut tags = images.find(&id).await?.image.tags;
        tags.retain(|tag| !self.remove.contains(tag));
        tags.extend(self.add);
        let image = images.change(&id, ImageChange { favourite: self.favourite, tags: Some(tags) }).await?;
        say(line(&image));
        Ok(())
    }
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        match error {
            // Whoever has the terminal may know where files are.
            ImageError::Storage(error) => error.into(),
            other => ApiError::from(other).into(),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        Problem::failed(error.to_string())
    }
}

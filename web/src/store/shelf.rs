//! What lies on the shelf: models with their plans and marks.

use super::fetch::{Tell, fetch};
use fresco_api::ModelId;
use fresco_web::{
    opfs::{self, Folder},
    protocol::shelf::{Kept, StoreReport},
    shelf::{MARK, PLAN, Plan, SHELF, encoded, mark},
};
use web_sys::AbortSignal;

/// Room that must be left.
const SPARE: u64 = 64 << 20;

/// The shelf's folder; it is made when it is not there.
///
/// # Errors
/// The browser refuses.
pub async fn open() -> Result<Folder, String> {
    let made = Folder::root().await?.folder(SHELF, true).await?;
    made.ok_or_else(|| "This browser cannot keep files".to_owned())
}

/// Everything that is there, as a report. `clear` removes what a copy left that was broken off.
///
/// # Errors
/// The browser refuses.
pub async fn list(clear: bool) -> Result<StoreReport, String> {
    let shelf = open().await?;
    let mut models = Vec::new();
    let mut names = shelf.names().await?;
    names.sort();
    for name in names {
        let Some(folder) = shelf.folder(&name, false).await? else { continue };
        match plan(&folder).await? {
            Some(plan) => models.push(kept(&folder, plan).await?),
            // Nothing tells what it is; where another tab is at work on it, its files are locked.
            None if clear => _ = shelf.remove(&name).await,
            None => {}
        }
    }
    Ok(StoreReport::Shelf { models, free: opfs::free().await })
}

/// A folder's plan, if it has a usable one.
///
/// # Errors
/// The browser refuses.
pub async fn plan(folder: &Folder) -> Result<Option<Plan>, String> {
    let text = folder.text(PLAN).await?;
    Ok(text.and_then(|text| serde_json::from_str::<Plan>(&text).ok()).filter(|plan| plan.check().is_ok()))
}

/// The folder of a model with its plan: the one that is there, or a new one of `plan`.
///
/// # Errors
/// The browser refuses, or has too little room.
pub async fn begin(id: &ModelId, plan: impl AsyncFnOnce() -> Result<Plan, String>) -> Result<(Folder, Plan), String> {
    let shelf = open().await?;
    let name = encoded(&id.0);
    if let Some(folder) = shelf.folder(&name, false).await?
        && let Some(plan) = self::plan(&folder).await?
    {
        check_room(&folder, &plan).await?;
        return Ok((folder, plan));
    }
    let plan = plan().await?;
    let folder = shelf.folder(&name, true).await?.ok_or("This browser cannot keep files")?;
    if let Err(error) = check_room(&folder, &plan).await {
        shelf.remove(&name).await?;
        return Err(error);
    }
    folder.write(PLAN, &serde_json::to_string(&plan).map_err(|error| error.to_string())?).await?;
    Ok((folder, plan))
}

/// Brings every file that has no mark yet.
///
/// # Errors
/// As [`fetch`].
pub async fn complete(folder: &Folder, plan: &Plan, stop: &AbortSignal, tell: &mut impl Tell) -> Result<(), String> {
    let mut done = 0;
    for planned in &plan.files {
        if !marked(folder, plan, &planned.file.path).await? {
            fetch(folder, planned, stop, &mut Behind { done, tell }).await?;
        }
        done += planned.file.size;
        if !tell.at(done).await {
            return Err("Stopped".to_owned());
        }
    }
    Ok(())
}

/// Tells of one file behind those that are done.
struct Behind<'a, T> {
    done: u64,
    tell: &'a mut T,
}

impl<T: Tell> Tell for Behind<'_, T> {
    async fn at(&mut self, bytes: u64) -> bool {
        self.tell.at(self.done + bytes).await
    }
}

async fn kept(folder: &Folder, plan: Plan) -> Result<Kept, String> {
    let (mut received, mut whole) = (0, true);
    for planned in &plan.files {
        received += folder.len(&encoded(&planned.file.path)).await?.unwrap_or(0).min(planned.file.size);
        whole &= marked(folder, &plan, &planned.file.path).await?;
    }
    let total = plan.bytes();
    Ok(Kept { info: plan.info, licence: plan.licence, received, total, whole })
}

/// Whether a file is there and was compared with what the plan says.
async fn marked(folder: &Folder, plan: &Plan, path: &str) -> Result<bool, String> {
    let Some(planned) = plan.file(path) else { return Ok(false) };
    let name = encoded(path);
    if folder.len(&name).await? != Some(planned.file.size) {
        return Ok(false);
    }
    let said = folder.text(&(name + MARK)).await?;
    Ok(said.is_some() && said == mark(&planned.file))
}

async fn check_room(folder: &Folder, plan: &Plan) -> Result<(), String> {
    let mut there = 0;
    for planned in &plan.files {
        there += folder.len(&encoded(&planned.file.path)).await?.unwrap_or(0);
    }
    let need = plan.bytes().saturating_sub(there);
    match opfs::free().await {
        Some(free) if need > 0 && free < need + SPARE => Err(no_room(free, need + SPARE)),
        _ => Ok(()),
    }
}

/// The sentence for too little room.
pub fn no_room(free: u64, need: u64) -> String {
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    let (free, need) = (gigabytes(free), gigabytes(need));
    format!(
        "This browser gives the page {free} more and {need} are needed: free some disk, or remove another model here"
    )
}

//! Files of the user's own, copied into the browser: a model's folder, or a single file of weights.

use super::{digest::Running, fetch::Tell, shelf};
use fresco_api::{ModelFile, ModelId, ModelInfo};
use fresco_web::{
    opfs::{self, Access},
    own::{describe, wanted},
    shelf::{MARK, PLAN, Plan, Planned, encoded, mark},
};
use js_sys::Uint8Array;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File};

/// So much is copied at a time.
const PIECE: u64 = 4 << 20;

/// Copies those of `files` that a model needs, under a name of its own.
///
/// # Errors
/// A sentence: this is no model, there is too little room, or the browser refuses. Nothing is left then.
pub async fn import(name: &str, files: Vec<(String, File)>, tell: &mut impl Tell) -> Result<ModelId, String> {
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let taken = wanted(&paths)?;
    let chosen: Vec<(String, File)> =
        taken.iter().filter_map(|(index, to)| Some((to.clone(), files.get(*index)?.1.clone()))).collect();
    let bytes: u64 = chosen.iter().map(|(_, file)| file.size() as u64).sum();
    if let Some(free) = opfs::free().await.filter(|free| *free < bytes) {
        return Err(shelf::no_room(free, bytes));
    }
    let mut texts = Vec::new();
    for (path, file) in chosen.iter().filter(|(path, file)| path.ends_with(".json") && file.size() < 1e6) {
        let text = JsFuture::from(file.text()).await.ok().and_then(|text| text.as_string());
        texts.extend(text.map(|text| (path.as_str(), text)));
    }
    let info = describe(name, bytes, &texts);
    let id = info.id.clone();
    let copied = copy(info, &chosen, tell).await;
    if copied.is_err() {
        shelf::open().await?.remove(&encoded(&id.0)).await?;
    }
    copied.map(|()| id)
}

async fn copy(info: ModelInfo, chosen: &[(String, File)], tell: &mut impl Tell) -> Result<(), String> {
    let shelf = shelf::open().await?;
    let name = encoded(&info.id.0);
    shelf.remove(&name).await?;
    let folder = shelf.folder(&name, true).await?.ok_or("This browser cannot keep files")?;
    let (mut done, mut files) = (0, Vec::new());
    for (path, from) in chosen {
        let to = folder.open(&encoded(path), Access::Write).await?;
        let (mut running, mut at, size) = (Running::default(), 0, from.size() as u64);
        while at < size {
            let bytes = piece(from, at, size.min(at + PIECE)).await.ok_or_else(|| format!("{path} cannot be read"))?;
            to.write(&bytes, at)?;
            running.update(&bytes);
            at += bytes.len() as u64;
            if bytes.is_empty() || !tell.at(done + at).await {
                return Err("Stopped".to_owned());
            }
        }
        to.flush()?;
        done += size;
        let file = ModelFile { path: path.clone(), size, sha256: Some(running.hex()), git: None };
        folder.write(&(encoded(path) + MARK), &mark(&file).unwrap_or_default()).await?;
        files.push(Planned { file, url: String::new() });
    }
    // Written last: a folder without a plan is cleared away.
    let plan = Plan { info, licence: "Your own file".to_owned(), files };
    plan.check()?;
    folder.write(PLAN, &serde_json::to_string(&plan).map_err(|error| error.to_string())?).await
}

async fn piece(file: &Blob, from: u64, to: u64) -> Option<Vec<u8>> {
    let part = file.slice_with_f64_and_f64(from as f64, to as f64).ok()?;
    let buffer = JsFuture::from(part.array_buffer()).await.ok()?;
    Some(Uint8Array::new(&buffer).to_vec())
}

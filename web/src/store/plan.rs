//! What a model's folder must become: asked of the daemon, or of a hub and pinned to its commit.

use super::net::json;
use fresco_api::{
    ModelFile, ModelInfo,
    published::{Precision, Published, select},
    routes,
};
use fresco_web::{
    protocol::shelf::Origin,
    shelf::{Plan, Planned},
};
use serde::Deserialize;
use web_sys::AbortSignal;

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

/// One file of a hub's list.
#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    oid: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// The plan of a model.
///
/// # Errors
/// A sentence: nobody answers, the model is not there, or what is said of it cannot be used.
pub async fn make(info: ModelInfo, licence: String, from: &Origin, stop: &AbortSignal) -> Result<Plan, String> {
    let files = match from {
        Origin::Daemon => of_daemon(&info, stop).await?,
        Origin::Hub { endpoint } => of_hub(&info, endpoint, stop).await?,
    };
    let bytes = files.iter().map(|planned| planned.file.size).sum();
    let plan = Plan { info: ModelInfo { bytes, ..info }, licence, files };
    plan.check()?;
    Ok(plan)
}

async fn of_daemon(info: &ModelInfo, stop: &AbortSignal) -> Result<Vec<Planned>, String> {
    let beside = routes::model_files(&info.id);
    let files: Vec<ModelFile> = json(beside.trim_start_matches('/'), stop).await?;
    let planned = |file: ModelFile| {
        let parts: Vec<String> = file.path.split('/').map(escaped).collect();
        Planned { url: format!("weights/{}/{}", info.id, parts.join("/")), file }
    };
    Ok(files.into_iter().map(planned).collect())
}

async fn of_hub(info: &ModelInfo, endpoint: &str, stop: &AbortSignal) -> Result<Vec<Planned>, String> {
    let unknown = || format!("{} is not in the catalogue", info.id);
    let entry = Published::find(&info.id.0).ok_or_else(unknown)?;
    let repository = entry.repository.as_deref().ok_or_else(unknown)?;
    let endpoint = endpoint.trim_end_matches('/');
    let about = format!("{endpoint}/api/models/{repository}");
    let Revision { sha } = json(&format!("{about}/revision/{}", escaped(&entry.revision)), stop).await?;
    let items: Vec<Item> = json(&format!("{about}/tree/{}?recursive=true", escaped(&sha)), stop).await?;
    let items: Vec<Item> = items.into_iter().filter(|item| item.kind == "file").collect();
    let paths: Vec<&str> = items.iter().map(|item| item.path.as_str()).collect();
    let lacks = |what: String| format!("{repository} has no {what}; it was changed since this version of Fresco");
    let chosen = select(entry, &paths, Precision::Fp16).map_err(lacks)?;
    let mut planned = Vec::new();
    for file in chosen {
        let Some(item) = items.get(file.index) else { continue };
        let parts: Vec<String> = item.path.split('/').map(escaped).collect();
        let url = format!("{endpoint}/{repository}/resolve/{}/{}", escaped(&sha), parts.join("/"));
        planned.push(Planned { file: item.file(file.to), url });
    }
    for pin in &entry.pinned {
        let other =
            |planned: &Planned| planned.file.path == pin.path && planned.file.sha256.as_ref() != Some(&pin.sha256);
        if planned.iter().any(other) {
            return Err(format!("{} is not the file that this version of Fresco knows", pin.path));
        }
    }
    Ok(planned)
}

impl Item {
    fn file(&self, path: String) -> ModelFile {
        match &self.lfs {
            Some(lfs) => {
                let sha256 = Some(lfs.oid.trim_start_matches("sha256:").to_owned());
                ModelFile { path, size: lfs.size, sha256, git: None }
            }
            None => ModelFile { path, size: self.size, sha256: None, git: self.oid.clone() },
        }
    }
}

/// One part of a path, with everything escaped that could end it.
fn escaped(part: &str) -> String {
    js_sys::encode_uri_component(part).into()
}

//! What tells the files apart that make a picture: another file under the same name is another picture.

use super::{Catalogue, ModelFiles, embedded::Weights, hub, loras};
use fresco_api::{ApiError, ModelId};
use std::{
    fs,
    path::Path,
    sync::{Arc, PoisonError},
};

impl Catalogue {
    /// Stamps of a model's files and of the LoRAs that a prompt names, in their order. Reads no weights: names, lengths
    /// and times tell.
    ///
    /// # Errors
    /// When there is no such model or LoRA.
    pub fn stamps(&self, model: &ModelId, prompt: &str) -> Result<Vec<String>, ApiError> {
        let mut stamps = vec![self.stamp(model)?];
        let named = loras::named_in(prompt, self.shelves.loras())?;
        stamps.extend(named.iter().map(|lora| file_stamp(&lora.path)));
        Ok(stamps)
    }

    fn stamp(&self, model: &ModelId) -> Result<String, ApiError> {
        let found = self.find(Some(model))?;
        if matches!(found.files, ModelFiles::Embedded) {
            return Ok(embedded_stamp());
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = known.values().find(|opened| Arc::ptr_eq(&opened.model, &found));
        let about = opened.map(|opened| (&opened.paths, &opened.then));
        Ok(hub::sha256(format!("{model} {about:?}").as_bytes()))
    }
}

/// The embedded files never change while the program runs, and another program has others.
fn embedded_stamp() -> String {
    let files = Weights::iter().filter_map(|name| Some((name.clone(), Weights::get(&name)?.metadata.sha256_hash())));
    let mut files: Vec<_> = files.collect();
    files.sort();
    hub::sha256(format!("{files:?}").as_bytes())
}

fn file_stamp(path: &Path) -> String {
    let about = fs::metadata(path).map(|found| (found.len(), found.modified().ok())).ok();
    hub::sha256(format!("{path:?} {about:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_file_that_changes_has_another_stamp() {
        let home = std::env::temp_dir().join(format!("fresco-stamps-{}", std::process::id()));
        let lora = home.join("loras").join("ink.safetensors");
        fs::create_dir_all(home.join("loras")).expect("a folder");
        fs::write(&lora, b"x").expect("a file");
        let catalogue = Catalogue::new(&home, Vec::new());
        let stamps = |prompt: &str| catalogue.stamps(&"fresco-tiny".into(), prompt);
        let plain = stamps("a tent").expect("stamps");
        let inked = stamps("a tent <lora:ink:1>").expect("stamps");
        assert_eq!((plain.len(), inked.len(), &plain[0]), (1, 2, &inked[0]));
        let later = SystemTime::now() + Duration::from_secs(60);
        fs::File::options().write(true).open(&lora).and_then(|file| file.set_modified(later)).expect("is touched");
        let again = stamps("a tent <lora:ink:1>").expect("stamps");
        assert!(again[0] == inked[0] && again[1] != inked[1]);
        assert!(stamps("a tent <lora:nobody:1>").is_err());
        assert!(catalogue.stamps(&"nobody".into(), "a tent").is_err());
    }
}

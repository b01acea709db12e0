//! The catalogue: names, order, and folders that come, go and break.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fresco-catalogue-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("models")).expect("a scratch folder");
        Self(path)
    }

    fn model(&self, name: &str) -> PathBuf {
        let path = self.0.join("models").join(name);
        fs::create_dir_all(&path).expect("a model folder");
        fs::write(path.join(folder::INDEX), "{}").expect("an index");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn ids(catalogue: &Catalogue) -> Vec<String> {
    catalogue.list().iter().map(|entry| id(entry).to_string()).collect()
}

#[test]
fn the_embedded_model_is_the_default() {
    let scratch = Scratch::new();
    let catalogue = Catalogue::new(&scratch.0, Vec::new());
    let model = catalogue.find(None).expect("there is a default");
    assert!(model.info.demo);
    assert_eq!(model.info.id, embedded::NAME.into());
    assert_eq!(ids(&catalogue), [embedded::NAME]);
}

#[test]
fn an_unknown_name_is_told_what_is_known() {
    let scratch = Scratch::new();
    let error = Catalogue::new(&scratch.0, Vec::new()).find(Some(&"sd9".into())).expect_err("there is none");
    assert_eq!((error.code, error.field.as_deref()), (ErrorCode::UnknownModel, Some("model")));
    assert!(error.message.contains("fresco-tiny"), "{error}");
}

#[test]
fn folders_appear_without_a_restart_and_never_hide_another() {
    let scratch = Scratch::new();
    let catalogue = Catalogue::new(&scratch.0, Vec::new());
    scratch.model("b");
    scratch.model("a");
    scratch.model(embedded::NAME);
    assert_eq!(ids(&catalogue), ["fresco-tiny", "a", "b", "fresco-tiny-2"]);
}

#[test]
fn a_broken_folder_says_which_file() {
    let scratch = Scratch::new();
    let path = scratch.model("broken");
    let catalogue = Catalogue::of_folder(path);
    let error = catalogue.find(None).expect_err("it is broken");
    assert_eq!((error.code, error.field.as_deref()), (ErrorCode::BadModel, Some("model")));
    assert!(error.message.contains(".json"), "{error}");
}

#[test]
fn a_path_that_is_no_folder_is_refused() {
    let error = Catalogue::of_folder("/nonexistent/model".into()).find(None).expect_err("there is none");
    assert_eq!(error.code, ErrorCode::UnknownModel);
}

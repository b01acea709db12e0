//! The catalogue: names, order, and folders that come, go and break.

use super::*;
use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

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
        self.folder(&format!("models/{name}"))
    }

    fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
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

/// A file of zeros in these shapes.
fn write_safetensors(file: &Path, tensors: &[(&str, Vec<usize>)]) {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, shape)| vec![0; shape.iter().product::<usize>() * 4]).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (*name, view.expect("as many bytes as the shape says"))
    });
    safetensors::serialize_to_file(views, None, file).expect("written");
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
    let ids = ids(&catalogue);
    assert_eq!(ids[..3], ["fresco-tiny", "a", "b"]);
    assert!(ids[3].starts_with("fresco-tiny-") && ids.len() == 4, "{ids:?}");
}

#[test]
fn a_folder_that_comes_or_goes_changes_no_other_name() {
    let scratch = Scratch::new();
    let extra = [scratch.folder("x/twin"), scratch.folder("y/twin")];
    let catalogue = Catalogue::new(&scratch.0, extra.to_vec());
    let (twin, own) = (scratch.model("twin"), scratch.model(embedded::NAME));
    let names = |paths: &[&PathBuf]| -> Vec<ModelId> {
        let places = catalogue.places();
        paths.iter().map(|path| places.iter().find(|(at, _)| at == *path).expect("it is there").1.clone()).collect()
    };
    let all = [&extra[0], &extra[1], &twin, &own];
    let before = names(&all);
    assert_eq!(before.iter().collect::<HashSet<_>>().len(), 4, "{before:?}");
    scratch.model("a");
    scratch.model("zzz");
    assert_eq!(names(&all), before);
    fs::remove_dir_all(&twin).expect("removed");
    assert_eq!(names(&[&extra[0], &extra[1], &own]), [&before[..2], &before[3..]].concat());
}

#[test]
fn a_change_in_any_file_is_seen() {
    let scratch = Scratch::new();
    let path = scratch.0.join("models/copy");
    for file in embedded::Weights::iter() {
        let target = path.join(&*file);
        fs::create_dir_all(target.parent().expect("a folder")).expect("made");
        fs::write(target, embedded::bytes(&file).expect("a file")).expect("written");
    }
    let catalogue = Catalogue::new(&scratch.0, Vec::new());
    let id = ModelId::from("copy");
    let first = catalogue.find(Some(&id)).expect("it is good");
    assert!(Arc::ptr_eq(&first, &catalogue.find(Some(&id)).expect("it is good")), "not read again");
    let config = path.join("vae/config.json");
    let text = fs::read_to_string(&config).expect("the configuration");
    fs::write(&config, text.replace("\"latent_channels\": 4", "\"latent_channels\": 0")).expect("written");
    assert_eq!(catalogue.find(Some(&id)).expect_err("it is broken").code, ErrorCode::BadModel);
    fs::write(&config, &text).expect("written");
    catalogue.find(Some(&id)).expect("it is good again");
    fs::remove_file(path.join("unet/diffusion_pytorch_model.safetensors")).expect("removed");
    assert_eq!(catalogue.find(Some(&id)).expect_err("it is broken").code, ErrorCode::BadModel);
}

#[test]
fn the_users_own_folders_are_searched() {
    let scratch = Scratch::new();
    let root = scratch.0.join("mine");
    for name in ["deep/er/model", "flat"] {
        scratch.folder(&format!("mine/{name}"));
    }
    fs::write(root.join("merge.safetensors"), "x").expect("written");
    let lora = [("unet.to_q.lora_A.weight", vec![1, 2]), ("unet.to_q.lora_B.weight", vec![2, 1])];
    write_safetensors(&root.join("ink.safetensors"), &lora);
    let catalogue = Catalogue::new(&scratch.0, Vec::new()).searching(&scratch.0, vec![root.clone()]);
    // A file that is no model is no entry; one that is damaged says so.
    assert_eq!(ids(&catalogue), ["fresco-tiny", "model", "flat", "merge"]);
    let merge = catalogue.find(Some(&"merge".into())).expect_err("it is damaged");
    assert!(merge.message.starts_with("merge.safetensors: is truncated"), "{merge}");
    let others: Vec<(String, &str)> = catalogue.others().into_iter().map(|(found, what)| (found.id, what)).collect();
    assert!(matches!(&others[..], [(id, what)] if id == "ink" && what.contains("LoRA")), "{others:?}");
    let library = Library::new(&scratch.0, vec![root]);
    let files: Vec<String> =
        library.found().into_iter().filter(|f| matches!(f.kind, FoundKind::File)).map(|f| f.id).collect();
    assert_eq!(files, ["ink", "merge"]);
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

#[test]
fn a_pulled_tiny_autoencoder_shows_runs_of_its_family() {
    let scratch = Scratch::new();
    let folder = scratch.0.join("models/taesd");
    fs::create_dir_all(&folder).expect("a folder");
    let manifest = r#"{"id":"taesd","repository":"a/b","commit":"c","precision":"fp16","licence":"MIT","files":[]}"#;
    fs::write(folder.join(library::MANIFEST), manifest).expect("written");
    let weights = folder.join("diffusion_pytorch_model.safetensors");
    let catalogue = Catalogue::new(&scratch.0, Vec::new());
    assert_eq!(catalogue.preview_decoder(FamilyName::StableDiffusion), None);
    fs::write(&weights, "x").expect("written");
    assert_eq!(catalogue.preview_decoder(FamilyName::StableDiffusion), Some(weights));
    assert_eq!(catalogue.preview_decoder(FamilyName::StableDiffusion3), None);
}

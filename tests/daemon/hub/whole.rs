//! Whole models: what is pulled can be used, removed and imported.

use super::{WEIGHTS, World, all_files, files};
use crate::support::hub::{Files, Hub, Reply, item};
use fresco_api::ModelId;
use fresco_daemon::models::{
    Catalogue, hub,
    library::{Library, Manifest},
    published::Precision,
    pull::{PullError, pull},
};
use std::{fs, path::Path};

/// The embedded model's files, as if a repository had them.
pub(super) fn embedded() -> Files {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/models/fresco-tiny");
    let name = |path: &Path| path.strip_prefix(&folder).expect("inside").to_str().expect("text").to_owned();
    all_files(&folder).iter().map(|path| (name(path), fs::read(path).expect("a file"))).collect()
}

#[tokio::test]
async fn a_pulled_model_can_be_used_and_removed() {
    let (world, files) = (World::new("usable"), embedded());
    let hub = Hub::honest(files.clone());
    let pulled = world.pull_with(world.settings(&hub), "SD-Turbo").await.expect("it is pulled");
    assert_eq!((pulled.manifest.id.as_str(), pulled.manifest.commit.len()), ("sd-turbo", 40));
    for file in &pulled.manifest.files {
        assert!(fs::read(pulled.place.join(&file.path)).expect("a file") == files[&file.path], "{}", file.path);
    }
    let catalogue = Catalogue::new(&world.home, Vec::new());
    let model = catalogue.find(Some(&ModelId::from("sd-turbo"))).expect("it is in the catalogue");
    assert_eq!((model.info.name.as_str(), model.info.default_steps, model.info.default_guidance), ("SD-Turbo", 4, 0.0));
    assert_eq!(Manifest::read(&pulled.place).expect("a manifest").repository, "stabilityai/sd-turbo");
    assert!(hub.files_asked().iter().all(|ask| !ask.target.contains("README") && !ask.target.contains("SHA256SUMS")));

    let asked = hub.asked().len();
    assert!(world.pull_with(world.settings(&hub), "sd-turbo").await.expect("it is there").was_there);
    assert_eq!(hub.asked().len(), asked, "what is there is not asked for");
    let client = hub::Hub::new(world.settings(&hub)).expect("a client");
    let full = pull(&world.library, &client, "sd-turbo", Precision::Full, &world.told).await;
    assert!(matches!(full, Err(PullError::OtherPrecision { .. })));

    world.library.remove("sd-turbo").expect("it is removed");
    assert!(catalogue.find(Some(&ModelId::from("sd-turbo"))).is_err() && !pulled.place.exists());
    let left: Vec<_> = all_files(&world.home).into_iter().filter(|file| !file.ends_with("lock")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(world.library.remove("sd-turbo").is_err());
}

#[tokio::test]
async fn nothing_is_visible_before_the_last_file_is_there() {
    let world = World::new("half");
    let hub = Hub::start(files(1_000), |ask| ask.is_file(WEIGHTS).then(|| Reply::new(500, "")));
    world.refusal(&hub).await;
    assert!(Catalogue::new(&world.home, Vec::new()).list().len() == 1 && world.library.found().is_empty());
    // A folder that a killed program left half made is cleared away by the next one.
    let left = world.library.shelf().join(".new-taesd");
    fs::create_dir_all(left.join("x")).expect("a folder");
    world.pull(&Hub::honest(files(1_000))).await.expect("it is pulled");
    assert!(!left.exists());
}

#[tokio::test]
async fn two_pulls_do_not_meet() {
    let world = World::new("two");
    let pause = Some(std::time::Duration::from_millis(100));
    let slow = Hub::start(files(100_000), move |ask| {
        ask.is_file(WEIGHTS).then(|| Reply { pause, ..Reply::new(200, files(100_000)[WEIGHTS].clone()) })
    });
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        world.pull(&slow).await
    };
    let (first, second) = tokio::join!(world.pull(&slow), late);
    first.expect("it is pulled");
    let error = second.expect_err("the other is at work").to_string();
    assert!(error.starts_with("another pull or import is at work in "), "{error}");
}

#[tokio::test]
async fn a_list_of_several_pages_is_read_to_its_end() {
    let files = files(1_000);
    let pages: Vec<String> = files.iter().map(|(path, bytes)| format!("[{}]", item(path, bytes))).collect();
    let hub = Hub::start(files.clone(), move |ask| {
        if !ask.target.contains("/tree/") {
            return None;
        }
        let page = ask.target.split_once("cursor=").map_or(0, |(_, page)| page.parse().expect("a number"));
        let reply = Reply::new(200, pages[page].clone());
        let next = format!("<{}?recursive=true&cursor={}>; rel=\"next\"", ask.target.split('?').next()?, page + 1);
        Some(if page + 1 < pages.len() { reply.with("link", &next) } else { reply })
    });
    let world = World::new("pages");
    world.pull(&hub).await.expect("it is pulled");
    world.assert_holds(&files);
    let endless = Hub::start(files, |ask| {
        let next = format!("<{}>; rel=\"next\"", ask.target);
        ask.target.contains("/tree/").then(|| Reply::new(200, "[]").with("link", &next))
    });
    assert!(World::new("endless-pages").refusal(&endless).await.contains("more than 20 pages"));
}

#[tokio::test]
async fn what_cannot_be_pulled_is_said() {
    let (world, hub) = (World::new("unknown"), Hub::honest(Files::new()));
    let refused = async |id: &str| world.pull_with(world.settings(&hub), id).await.expect_err("no").to_string();
    assert!(refused("sd9").await.starts_with("there is no model \"sd9\" to pull"));
    assert_eq!(refused("fresco-tiny").await, "fresco-tiny is part of the program; there is nothing to pull");
    assert!(hub.asked().is_empty());
}

#[test]
fn models_of_ones_own_are_linked_or_copied() {
    let world = World::new("import");
    let mine = world.home.join("mine");
    fs::create_dir_all(&mine).expect("a folder");
    let file = mine.join("merge.safetensors");
    fs::write(&file, "weights").expect("written");
    let library = Library::new(&world.home, Vec::new());
    let linked = library.import(&file, None, false).expect("it is linked");
    assert_eq!((linked.id.as_str(), linked.copied), ("merge", false));
    let copied = library.import(&file, Some("other"), true).expect("it is copied");
    assert!(copied.place.ends_with("other.safetensors") && !copied.place.is_symlink());
    let ids: Vec<String> = library.found().into_iter().map(|found| found.id).collect();
    assert_eq!(ids, ["merge", "other"]);
    assert!(library.import(&file, None, false).expect_err("taken").to_string().contains("is there already"));
    for name in ["../x", "a/b", ".hidden", "", "con"] {
        assert!(library.import(&file, Some(name), false).is_err(), "{name:?}");
        assert!(library.remove(name).is_err(), "{name:?}");
    }
    library.remove("merge").expect("the link is removed");
    assert!(file.is_file(), "what it pointed to stays");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/models/fresco-tiny");
    let copied = library.import(&folder, Some("mine"), true).expect("a folder is copied");
    let catalogue = Catalogue::new(&world.home, Vec::new());
    catalogue.find(Some(&ModelId::from("mine"))).expect("it can be used");
    assert!(copied.place.join("unet/config.json").is_file());
    let pickle = mine.join("old.ckpt");
    fs::write(&pickle, "x").expect("written");
    assert!(library.import(&pickle, None, false).expect_err("a pickle").to_string().contains("is a pickle"));
    assert!(library.import(&mine, None, false).expect_err("no model").to_string().contains("model_index.json"));
}

//! What other programs have fetched already, and pulling without any network.

use super::{WEIGHTS, World, files};
use crate::support::hub::{COMMIT, Files, Hub};
use fresco_daemon::models::hub::{Settings, git_blob, sha256};
use std::{fs, path::Path};

/// The hub's own tools' cache with these files.
fn fill(cache: &Path, files: &Files) {
    let folder = cache.join("models--madebyollin--taesd");
    let snapshot = folder.join("snapshots").join(COMMIT);
    for inner in ["blobs", "refs", &format!("snapshots/{COMMIT}")] {
        fs::create_dir_all(folder.join(inner)).expect("a folder");
    }
    fs::write(folder.join("refs/main"), COMMIT).expect("a reference");
    for (path, bytes) in files {
        let name = if path == WEIGHTS { sha256(bytes) } else { git_blob(bytes) };
        fs::write(folder.join("blobs").join(&name), bytes).expect("a blob");
        std::os::unix::fs::symlink(format!("../../blobs/{name}"), snapshot.join(path)).expect("a link");
    }
}

fn settings(world: &World, hub: &Hub, offline: bool) -> Settings {
    Settings { cache: Some(world.home.join("cache")), offline, ..world.settings(hub) }
}

#[tokio::test]
async fn what_is_cached_is_not_fetched() {
    let (world, files) = (World::new("cached"), files(100_000));
    fill(&world.home.join("cache"), &files);
    let hub = Hub::honest(files.clone());
    world.pull_with(settings(&world, &hub, false), "taesd").await.expect("it is pulled");
    world.assert_holds(&files);
    assert!(hub.files_asked().is_empty());
    assert_eq!(world.told("cached=true"), 2);
    let linked = world.place().join(WEIGHTS).symlink_metadata().expect("the file");
    assert!(linked.is_file(), "a plain file, not a link that breaks with the cache");
}

#[tokio::test]
async fn a_damaged_cache_is_not_believed() {
    let (world, files) = (World::new("cache-damaged"), files(100_000));
    let mut damaged = files.clone();
    damaged.get_mut(WEIGHTS).expect("the weights")[50_000] ^= 1;
    fill(&world.home.join("cache"), &files);
    let blob = world.home.join("cache/models--madebyollin--taesd/blobs").join(sha256(&files[WEIGHTS]));
    fs::write(&blob, &damaged[WEIGHTS]).expect("damaged");
    let hub = Hub::honest(files.clone());
    world.pull_with(settings(&world, &hub, false), "taesd").await.expect("it is pulled");
    world.assert_holds(&files);
    assert_eq!(hub.files_asked().len(), 1);
}

#[tokio::test]
async fn offline_the_cache_is_enough_and_nobody_is_asked() {
    let (world, mut files) = (World::new("offline"), files(1_000));
    let hub = Hub::honest(files.clone());
    let error = world.pull_with(settings(&world, &hub, true), "taesd").await.expect_err("nothing there").to_string();
    assert_eq!(error, "madebyollin/taesd is not in the cache, and HF_HUB_OFFLINE forbids to fetch it");
    fill(&world.home.join("cache"), &files);
    world.pull_with(settings(&world, &hub, true), "taesd").await.expect("it is pulled");
    world.assert_holds(&files);
    assert!(hub.asked().is_empty());

    let half = World::new("offline-half");
    files.remove(WEIGHTS);
    fill(&half.home.join("cache"), &files);
    let error = half.pull_with(settings(&half, &hub, true), "taesd").await.expect_err("no weights").to_string();
    assert!(error.contains("no safetensors weights"), "{error}");
    assert!(hub.asked().is_empty());
}

//! Downloads that break off and go on.

use super::{WEIGHTS, World, files};
use crate::support::hub::{Hub, Reply, file, noise};
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

#[tokio::test]
async fn connections_that_end_at_random_still_give_the_right_bytes() {
    for seed in 0..8 {
        let (files, asked) = (files(300_000), AtomicUsize::new(0));
        let (bytes, cuts) = (files[WEIGHTS].clone(), noise(400, seed));
        let hub = Hub::start(files.clone(), move |ask| {
            let turn = asked.fetch_add(1, Ordering::Relaxed);
            let cut = usize::from(*cuts.get(turn)?) * 256;
            ask.is_file(WEIGHTS).then(|| file(&bytes, ask).cut(cut))
        });
        let world = World::new(&format!("cut-{seed}"));
        world.pull(&hub).await.expect("it is pulled in the end");
        world.assert_holds(&files);
        let ranges: Vec<usize> = hub.files_asked().iter().filter_map(|ask| ask.from()).collect();
        assert!(ranges.len() > 2 && ranges.is_sorted(), "seed {seed} goes on where it was: {ranges:?}");
        assert_eq!(world.told("restarted"), 0);
        assert_eq!(world.told("finished diffusion_pytorch_model.safetensors sha256 cached=false"), 1);
        assert_eq!(world.told("finished config.json git sha1 cached=false"), 1);
    }
}

#[tokio::test]
async fn a_server_without_ranges_sends_the_whole_again() {
    let (files, asked) = (files(200_000), AtomicUsize::new(0));
    let bytes = files[WEIGHTS].clone();
    let hub = Hub::start(files.clone(), move |ask| {
        let whole = Reply::new(200, bytes.clone());
        let first = ask.is_file(WEIGHTS) && asked.fetch_add(1, Ordering::Relaxed) == 0;
        ask.is_file(WEIGHTS).then(|| if first { whole.cut(70_000) } else { whole })
    });
    let world = World::new("no-ranges");
    world.pull(&hub).await.expect("it is pulled");
    world.assert_holds(&files);
    let asked: Vec<bool> =
        hub.files_asked().iter().filter(|ask| ask.is_file(WEIGHTS)).map(|a| a.from().is_some()).collect();
    assert_eq!(asked, [false, true], "the whole that came instead of the range is taken");
    assert_eq!(world.told("restarted"), 1);
}

#[tokio::test]
async fn a_pull_that_was_stopped_goes_on() {
    let files = files(400_000);
    let bytes = files[WEIGHTS].clone();
    let slow = Hub::start(files.clone(), move |ask| {
        let slow = Reply { pause: Some(Duration::from_millis(40)), ..file(&bytes, ask) };
        ask.is_file(WEIGHTS).then_some(slow)
    });
    let world = World::new("stopped");
    let stopped = tokio::time::timeout(Duration::from_millis(400), world.pull(&slow)).await;
    assert!(stopped.is_err() && !world.place().exists(), "it was not done yet");
    let part = world.staged(".part").pop().expect("a part is kept");
    let kept = fs::metadata(&part).expect("the part").len();
    assert!((16_384..400_000).contains(&kept), "{kept}");
    let fast = Hub::honest(files.clone());
    world.pull(&fast).await.expect("it is pulled");
    world.assert_holds(&files);
    let from: Vec<Option<usize>> =
        fast.files_asked().iter().filter(|ask| ask.is_file(WEIGHTS)).map(|a| a.from()).collect();
    assert_eq!(from, [Some(usize::try_from(kept).expect("small"))]);
    assert_eq!(world.told(&format!("started {WEIGHTS} at {kept}")), 1);
}

#[tokio::test]
async fn a_part_that_was_damaged_is_fetched_anew() {
    for keep in [50_000, 200_000, 300_000] {
        let files = files(200_000);
        let dead = Hub::start(files.clone(), |ask| ask.is_file(WEIGHTS).then(|| Reply::new(200, "").cut(0)));
        let world = World::new(&format!("damaged-{keep}"));
        world.pull(&dead).await.expect_err("nothing comes");
        fs::write(world.staged(".part").pop().expect("a part"), vec![0; keep]).expect("damaged");
        world.pull(&Hub::honest(files.clone())).await.expect("it is pulled");
        world.assert_holds(&files);
    }
}

#[tokio::test]
async fn a_file_that_changes_in_between_is_never_mixed() {
    // The server goes on with another version: with the tag of its own, with the old one's tag, and without any.
    for (name, tag) in [("new-tag", Some("\"b\"")), ("same-tag", Some("\"a\"")), ("no-tag", None)] {
        let (files, other, turn) = (files(200_000), noise(200_000, 99), AtomicUsize::new(0));
        let bytes = files[WEIGHTS].clone();
        let hub = Hub::start(files.clone(), move |ask| {
            if !ask.is_file(WEIGHTS) {
                return None;
            }
            let from = ask.from().unwrap_or(0);
            match turn.fetch_add(1, Ordering::Relaxed) {
                0 => Some(Reply::new(200, bytes.clone()).with("etag", "\"a\"").cut(90_000)),
                1 => {
                    let range = format!("bytes {from}-199999/200000");
                    let reply = Reply::new(206, &other[from..]).with("content-range", &range);
                    Some(tag.map_or_else(|| reply.clone(), |tag| reply.clone().with("etag", tag)))
                }
                _ => None,
            }
        });
        let world = World::new(&format!("changed-{name}"));
        world.pull(&hub).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        world.assert_holds(&files);
        assert_eq!(world.told("restarted"), 1, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_stays_another_is_refused_and_not_kept() {
    let (files, other) = (files(100_000), noise(100_000, 3));
    let hub = Hub::start(files.clone(), move |ask| ask.is_file(WEIGHTS).then(|| file(&other, ask)));
    let world = World::new("replaced");
    let error = world.refusal(&hub).await;
    let expected =
        format!("{WEIGHTS}: what the hub sends is not what it lists (sha256 differs); nothing of it was kept");
    assert_eq!(error, expected);
    assert!(world.staged(".part").is_empty() && world.staged(".json").is_empty());
    // Once the hub is right again, so is the pull.
    world.pull(&Hub::honest(files.clone())).await.expect("it is pulled");
    world.assert_holds(&files);
}

#[tokio::test]
async fn a_small_file_is_checked_by_gits_name() {
    let files = files(1_000);
    let hub = Hub::start(files, |ask| ask.is_file("config.json").then(|| Reply::new(200, "[]")));
    let error = World::new("small-other").refusal(&hub).await;
    assert!(error.starts_with("config.json: what the hub sends is not what it lists (git sha1 differs)"), "{error}");
}

#[tokio::test]
async fn a_cap_on_the_rate_holds() {
    let world = World::new("rate");
    let hub = Hub::honest(files(300_000));
    let start = Instant::now();
    let settings = fresco_daemon::models::hub::Settings { max_rate: 200_000, ..world.settings(&hub) };
    world.pull_with(settings, "taesd").await.expect("it is pulled");
    // Half a second's worth comes at once.
    let seconds = start.elapsed().as_secs_f32();
    assert!((0.9..10.0).contains(&seconds), "{seconds}");
}

//! Answers that no honest hub gives: each ends in a sentence, and nothing is written where it should not be.

use super::{WEIGHTS, World, all_files, files};
use crate::support::hub::{Hub, Reply, file, item, listing};
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn a_wrong_content_length_is_said() {
    for (name, said) in [("longer", 50_000), ("shorter", 5)] {
        let files = files(10_000);
        let bytes = files[WEIGHTS].clone();
        let hub = Hub::start(files, move |ask| {
            ask.is_file(WEIGHTS).then(|| Reply { length: Some(Some(said)), ..file(&bytes, ask) })
        });
        let error = World::new(&format!("length-{name}")).refusal(&hub).await;
        assert!(
            error.contains(&format!("{WEIGHTS}: it says {said} bytes and lists 10000; what came is kept")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn more_bytes_than_listed_are_not_taken() {
    let files = files(10_000);
    let long = [files[WEIGHTS].clone(), vec![1; 1 << 20]].concat();
    let hub = Hub::start(files, move |ask| {
        ask.is_file(WEIGHTS).then(|| Reply { length: Some(None), ..Reply::new(200, long.clone()) })
    });
    let world = World::new("endless");
    let error = world.refusal(&hub).await;
    assert_eq!(error, format!("{WEIGHTS}: the hub sends more than the 10000 bytes it lists; nothing of it was kept"));
    assert!(all_files(&world.home).iter().all(|file| file.metadata().expect("a file").len() <= 10_000));
}

#[tokio::test]
async fn a_length_without_a_header_is_fine() {
    let files = files(10_000);
    let bytes = files[WEIGHTS].clone();
    let hub = Hub::start(files.clone(), move |ask| {
        ask.is_file(WEIGHTS).then(|| Reply { length: Some(None), ..Reply::new(200, bytes.clone()) })
    });
    let world = World::new("no-length");
    world.pull(&hub).await.expect("it is pulled");
    world.assert_holds(&files);
}

#[tokio::test]
async fn ranges_that_are_not_those_asked_for_are_not_appended() {
    let replies: [fn(&[u8]) -> Reply; 4] = [
        |bytes| Reply::new(206, &bytes[..10]).with("content-range", "bytes 0-9/10000"),
        |bytes| Reply::new(206, bytes),
        |bytes| Reply::new(206, &bytes[5_000..]).with("content-range", "bytes 5000-9999/20000"),
        |_| Reply::new(416, ""),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let (files, turn) = (files(10_000), AtomicUsize::new(0));
        let bytes = files[WEIGHTS].clone();
        let hub = Hub::start(files.clone(), move |ask| match ask.is_file(WEIGHTS) {
            false => None,
            true => match turn.fetch_add(1, Ordering::Relaxed) {
                0 => Some(file(&bytes, ask).cut(5_000)),
                1 => Some(reply(&bytes)),
                _ => None,
            },
        });
        let world = World::new(&format!("range-{number}"));
        world.pull(&hub).await.unwrap_or_else(|error| panic!("{number}: {error}"));
        world.assert_holds(&files);
        // A wrong range is asked for again; what was right before is lost only where the file is another one.
        assert_eq!(world.told("restarted"), usize::from(number >= 2), "{number}");
    }
}

#[tokio::test]
async fn names_that_lead_out_of_the_folder_are_refused() {
    let long = "x".repeat(1_000);
    let names = [
        "../outside.json",
        "/tmp/fresco-outside.json",
        "a/../../outside.json",
        "a\\..\\outside.json",
        "C:/outside.json",
        "./config.json",
        "a//b.json",
        "config.json/",
        "con",
        "a\u{0}b",
        &long,
        "",
    ];
    for (number, name) in names.iter().enumerate() {
        let files = files(100);
        let list =
            format!("{}, {}]", listing(&files).trim_end_matches(']'), item("x", b"bad").replace("\"x\"", &json(name)));
        let hub = Hub::start(files, move |ask| ask.target.contains("/tree/").then(|| Reply::new(200, list.clone())));
        let world = World::new(&format!("name-{number}"));
        let error = world.refusal(&hub).await;
        assert!(error.contains("which is no plain path inside a folder; nothing was written"), "{name:?}: {error}");
        assert!(error.len() < 300 && hub.files_asked().is_empty());
        assert!(!world.home.parent().expect("a folder").join("outside.json").exists());
    }
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("text")
}

#[tokio::test]
async fn lists_that_cannot_be_used_are_refused() {
    let items = |size: &str, oid: &str| {
        format!(r#"[{{"type": "file", "path": "{WEIGHTS}", "lfs": {{"oid": "{oid}", "size": {size}}}}}]"#)
    };
    let twice = format!("[{}, {}]", item("config.json", b"{}"), item("Config.json", b"{}"));
    let cases = [
        ("garbage", "<html>not a hub</html>".to_owned()),
        ("object", "{}".to_owned()),
        ("negative", items("-1", &"a".repeat(64))),
        ("huge", items("9999999999999999", &"a".repeat(64))),
        ("digest", items("5", "zz")),
        ("git-digest", items("5", &"a".repeat(40))),
        ("twice", twice),
        ("long", " ".repeat(9 << 20)),
        ("deep", "[".repeat(100_000)),
    ];
    for (name, list) in cases {
        let hub =
            Hub::start(files(10), move |ask| ask.target.contains("/tree/").then(|| Reply::new(200, list.clone())));
        let error = World::new(&format!("list-{name}")).refusal(&hub).await;
        assert!(
            error.contains("the list of files of madebyollin/taesd: the hub's answer cannot be used"),
            "{name}: {error}"
        );
        assert!(error.len() < 400, "{error}");
    }
}

#[tokio::test]
async fn a_commit_that_is_no_word_is_refused() {
    for sha in [r#""../../x""#, r#""a b""#, "5", "{"] {
        let body = format!(r#"{{"sha": {sha}}}"#);
        let hub =
            Hub::start(files(10), move |ask| ask.target.contains("/revision/").then(|| Reply::new(200, body.clone())));
        let error = World::new("commit").refusal(&hub).await;
        assert!(error.contains("the hub's answer cannot be used"), "{error}");
    }
}

#[tokio::test]
async fn a_repository_that_lacks_a_file_is_named() {
    let mut files = files(10);
    files.remove(WEIGHTS);
    let error = World::new("lacking").refusal(&Hub::honest(files)).await;
    let expected =
        "madebyollin/taesd has no safetensors weights in .; it was changed since this version of Fresco was made";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_disk_without_room_is_told_before_anything_is_fetched() {
    let list = format!(
        r#"[{}, {{"type": "file", "path": "{WEIGHTS}", "lfs": {{"oid": "{}", "size": {}}}}}]"#,
        item("config.json", b"{}"),
        "a".repeat(64),
        1u64 << 40
    );
    let hub = Hub::start(files(10), move |ask| ask.target.contains("/tree/").then(|| Reply::new(200, list.clone())));
    let error = World::new("room").refusal(&hub).await;
    assert!(error.contains("bytes free and 1099578736642 are needed; make room"), "{error}");
    assert!(hub.files_asked().is_empty());
}

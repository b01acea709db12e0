//! `fresco images` and `fresco export` on a store that a daemon left behind.

use super::{folder, one_line_error, run_in, text};
use fresco_api::{ImageFormat, ImageId, ImagePage, Params, StoredImage};
use fresco_daemon::{
    data::Database,
    images::{Images, NewImage, history},
};
use fresco_diffusion::Picture;
use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

/// Stores a picture for each prompt, a day apart; their names in this order.
fn stored(home: &Path, prompts: &[&str]) -> Vec<ImageId> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let data = Database::open(home).await.expect("a database");
        let images = Images::open(home, None, data.reader().clone(), data.writer().clone()).expect("a folder");
        let mut ids = Vec::new();
        for (seed, prompt) in (0u64..).zip(prompts) {
            ids.push(store(&images, &data, prompt, seed).await);
        }
        data.close().await;
        ids
    })
}

async fn store(images: &Images, data: &Database, prompt: &str, seed: u64) -> ImageId {
    let prompt = prompt.to_owned();
    let params = Params { prompt, width: 8, height: 8, seed, model: "fresco-tiny".into(), ..Params::default() };
    let file = Picture { width: 8, height: 8, rgb: vec![seed as u8; 192] }.png_with(&params);
    let (bytes, id) = (file.len() as u64, history::new_id());
    let new = NewImage {
        id: id.clone(),
        job: None,
        position: 0,
        hash: images.blobs().put(file.into()).await.expect("is kept"),
        format: ImageFormat::Png,
        bytes,
        width: 8,
        height: 8,
        created: SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * (20_000 + seed)),
        owner: String::new(),
        params,
    };
    let mut connection = data.writer().acquire().await.expect("a connection");
    history::insert(&mut connection, &new).await.expect("is written");
    id
}

fn out(home: &Path, arguments: &[&str]) -> String {
    let output = run_in(home, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

fn listed(home: &Path, more: &[&str]) -> Vec<ImageId> {
    let page: ImagePage =
        serde_json::from_str(&out(home, &[&["images", "list", "--json"], more].concat())).expect("JSON");
    page.images.into_iter().map(|image| image.id).collect()
}

#[test]
fn pictures_are_listed_shown_tagged_and_removed() {
    let home = folder("images");
    let ids = stored(&home, &["a red tent", "a green\ntree", "a red tree"]);
    let table = out(&home, &["images", "list"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains("a green tree") && table.contains("2024-10-04") && table.contains("8x8"), "{table}");
    assert_eq!(listed(&home, &["--query", "RED tree"]), [ids[2].clone()]);
    assert_eq!(listed(&home, &["--from", "2024-10-05", "--to", "2024-10-05"]), [ids[1].clone()]);
    let shown: StoredImage = serde_json::from_str(&out(&home, &["images", "show", &ids[0].0])).expect("JSON");
    assert_eq!((shown.id, shown.parameters.prompt.as_str()), (ids[0].clone(), "a red tent"));
    out(&home, &["images", "tag", &ids[0].0, "--add", "night", "--add", "blue", "--favourite", "true"]);
    let line = out(&home, &["images", "tag", &ids[0].0, "--remove", "night"]);
    assert!(line.contains("* a red tent #blue"), "{line}");
    assert_eq!(listed(&home, &["--favourite", "--tag", "blue"]), [ids[0].clone()]);
    out(&home, &["images", "rm", &ids[0].0, &ids[1].0]);
    assert_eq!(listed(&home, &[]), [ids[2].clone()]);
    let line = one_line_error(&run_in(&home, &["images", "show", &ids[0].0]));
    assert_eq!(line, "There is no such picture");
    assert!(one_line_error(&run_in(&home, &["images", "rm", "nobody"])).starts_with("nobody: "));
    assert!(one_line_error(&run_in(&home, &["images", "list", "--from", "soon"])).starts_with("from: "));
}

#[test]
fn a_selection_is_written_as_a_zip_file() {
    let home = folder("export");
    let ids = stored(&home, &["a red tent", "a green tree"]);
    let file = home.join("out.zip");
    let path = file.to_str().expect("a path");
    let said = out(&home, &["export", "--query", "tree", "--out", path]);
    assert!(said.contains("(1 pictures)"), "{said}");
    let zip = fs::read(&file).expect("a zip file");
    let holds = |name: String| zip.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(zip.starts_with(b"PK\x03\x04") && holds(format!("{}.png", ids[1])) && !holds(format!("{}.png", ids[0])));
    let output = run_in(&home, &["export", &ids[0].0, "nobody", "--out", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("left out: nobody"), "{}", text(&output.stderr));
    let both = run_in(&home, &["export", &ids[0].0, "--query", "x", "--out", path]);
    assert_eq!(both.status.code(), Some(2));
    assert!(one_line_error(&run_in(&home, &["export", "--out", "/no/such/folder/x.zip"])).contains("x.zip"));
}

#[test]
fn a_storage_that_is_none_is_named() {
    let home = folder("storage");
    let output = super::fresco(&["images", "list"])
        .env("FRESCO_HOME", &home)
        .env("FRESCO_STORAGE", "ftp://pictures")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("FRESCO_STORAGE: a storage is written s3://bucket/prefix"));
}

#[test]
fn jobs_are_listed_from_the_same_store() {
    let home = folder("jobs");
    assert_eq!(out(&home, &["jobs", "list"]).lines().count(), 1);
    assert_eq!(out(&home, &["jobs", "list", "--status", "dead", "--query", "x", "--json"]).trim(), "[]");
    assert_eq!(one_line_error(&run_in(&home, &["jobs", "show", "nobody"])), "There is no such job");
    assert_eq!(run_in(&home, &["jobs", "list", "--status", "odd"]).status.code(), Some(2));
}

//! Finished pictures over HTTP: found, fetched in every form, changed, exported, looked into, deleted.

use crate::support::daemon::{Daemon, config, refused};
use fresco_api::{
    ErrorCode, ImageFormat, ImagePage, ImageRequest, Inspection, Job, JobStatus, SettingsSource, StoredImage, routes,
};
use fresco_daemon::engine::fake;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};

/// Makes a picture; what the history knows about it.
async fn made(daemon: &Daemon, body: Value) -> StoredImage {
    let ask = daemon.ask(Method::POST, routes::TEXT2IMG).header("cache-control", "no-cache");
    let job: Job = ask.json(&body).send().await.expect("answers").json().await.expect("a job");
    daemon.wait_for(&job.id, JobStatus::Completed).await;
    let page = page(daemon, "limit=1").await;
    let image = page.images.into_iter().next().expect("a picture");
    assert_eq!(image.job_id, Some(job.id));
    image
}

async fn page(daemon: &Daemon, query: &str) -> ImagePage {
    let answer = daemon.get(&format!("/api/v1{}?{query}", routes::IMAGES)).await;
    assert_eq!(answer.status(), StatusCode::OK, "{query}");
    answer.json().await.expect("a page")
}

async fn with(daemon: &Daemon, path: &str, headers: &[(&str, &str)]) -> Response {
    let ask = daemon.ask(Method::GET, path);
    headers.iter().fold(ask, |ask, (name, value)| ask.header(*name, *value)).send().await.expect("answers")
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

fn tent(seed: u64) -> Value {
    json!({"prompt": "a red tent", "width": 64, "height": 96, "steps": 1, "seed": seed})
}

#[tokio::test]
async fn a_picture_is_stored_and_fetched_as_it_was_made() {
    let daemon = Daemon::start().await;
    let image = made(&daemon, tent(7)).await;
    assert_eq!((image.width, image.height, image.media_type, image.position), (64, 96, ImageFormat::Png, 0));
    assert_eq!((image.parameters.seed, image.url.as_str()), (7, format!("/images/{}", image.id).as_str()));
    for base in ["", "/api/v1"] {
        let answer = daemon.get(&format!("{base}{}", image.url)).await;
        assert_eq!((answer.status(), header(&answer, "content-type")), (StatusCode::OK, "image/png"));
        assert!(header(&answer, "cache-control").contains("immutable"));
        assert!(header(&answer, "etag").len() > 64 && header(&answer, "content-length") == image.bytes.to_string());
    }
    let known: StoredImage = daemon.get(&format!("{}/info", image.url)).await.json().await.expect("JSON");
    assert_eq!(known, image);
    let url: Value = daemon.get(&format!("{}/url", image.url)).await.json().await.expect("JSON");
    assert_eq!(url, json!({"url": image.url}));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_file() {
    let daemon = Daemon::start().await;
    let first = made(&daemon, tent(7)).await;
    let again = made(&daemon, tent(7)).await;
    let other = made(&daemon, tent(8)).await;
    assert_ne!(first.id, again.id);
    let tag = async |image: &StoredImage| header(&daemon.get(&image.url).await, "etag").to_owned();
    assert_eq!(tag(&first).await, tag(&again).await);
    assert_ne!(tag(&first).await, tag(&other).await);
}

#[tokio::test]
async fn a_file_comes_whole_in_part_or_not_at_all() {
    let daemon = Daemon::start().await;
    let image = made(&daemon, tent(7)).await;
    let whole = daemon.get(&image.url).await.bytes().await.expect("bytes");
    let part = with(&daemon, &image.url, &[("range", "bytes=8-15")]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&part, "content-range"), format!("bytes 8-15/{}", whole.len()));
    assert_eq!(part.bytes().await.expect("bytes"), whole[8..16]);
    let beyond = with(&daemon, &image.url, &[("range", "bytes=99999999-")]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let tag = header(&daemon.get(&image.url).await, "etag").to_owned();
    let known = with(&daemon, &image.url, &[("if-none-match", &tag)]).await;
    assert_eq!((known.status(), known.bytes().await.expect("bytes").len()), (StatusCode::NOT_MODIFIED, 0));
    let head = daemon.ask(Method::HEAD, &image.url).send().await.expect("answers");
    assert_eq!(header(&head, "content-length"), whole.len().to_string());
}

#[tokio::test]
async fn a_file_comes_in_the_size_and_format_that_are_asked_for() {
    let daemon = Daemon::start().await;
    let wide = json!({"prompt": "a red tent", "width": 256, "height": 128, "steps": 1, "seed": 7});
    let image = made(&daemon, wide).await;
    let small = format!("{}?w=128", image.url);
    let cases = [
        (image.url.clone(), "image/webp", "image/webp", (256, 128)),
        (image.url.clone(), "image/jpeg;q=0.9, image/png;q=0.1", "image/jpeg", (256, 128)),
        (image.url.clone(), "*/*", "image/png", (256, 128)),
        (small.clone(), "*/*", "image/jpeg", (128, 64)),
        (small.clone(), "image/png", "image/png", (128, 64)),
        (format!("{small}&format=webp"), "image/png", "image/webp", (128, 64)),
        (format!("{}?w=1024", image.url), "*/*", "image/jpeg", (256, 128)),
    ];
    let mut tags = Vec::new();
    for (path, accept, kind, size) in cases {
        // The second time, a small one is one that was kept.
        for _ in 0..2 {
            let answer = with(&daemon, &path, &[("accept", accept)]).await;
            assert_eq!((answer.status(), header(&answer, "content-type")), (StatusCode::OK, kind), "{path} {accept}");
            assert_eq!(header(&answer, "vary"), "accept");
            tags.push(header(&answer, "etag").to_owned());
            let found = inspected(&daemon, answer.bytes().await.expect("bytes").to_vec(), kind).await;
            assert_eq!((found.width, found.height), size, "{path} {accept}");
        }
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 7, "each form has a tag of its own");
    for (query, field) in [("w=127", "w"), ("w=x", "w"), ("w=1000000", "w"), ("format=gif", "format")] {
        let error = refused(daemon.get(&format!("{}?{query}", image.url)).await, StatusCode::BAD_REQUEST).await;
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidField, Some(field)));
    }
}

async fn inspected(daemon: &Daemon, file: Vec<u8>, kind: &str) -> Inspection {
    let ask = daemon.ask(Method::POST, routes::IMAGES_INSPECT).header("content-type", kind).body(file);
    let answer = ask.send().await.expect("answers");
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.expect("an inspection")
}

#[tokio::test]
async fn a_file_tells_how_it_was_made_in_every_format() {
    let daemon = Daemon::start().await;
    let body = json!({
        "prompt": "a red tent: é, 雨", "negativePrompt": "rain", "width": 64, "height": 96, "steps": 3,
        "guidanceScale": 2.5, "seed": 18_446_744_073_709_551_615u64, "sampler": "dpmpp_2m", "scheduler": "karras",
    });
    let image = made(&daemon, body).await;
    let expected = ImageRequest::from(&image.parameters);
    for (format, kind) in [("png", "image/png"), ("jpeg", "image/jpeg"), ("webp", "image/webp")] {
        let file = daemon.get(&format!("{}?format={format}", image.url)).await.bytes().await.expect("bytes");
        let found = inspected(&daemon, file.to_vec(), kind).await;
        assert_eq!(found.source, Some(SettingsSource::Fresco), "{format}");
        assert_eq!(found.request.as_ref(), Some(&expected), "{format}");
        assert!(found.settings.iter().any(|setting| setting.name == "Sampler" && setting.value == "DPM++ 2M"));
        // Sent again, it makes the same picture.
        let again = made(&daemon, serde_json::to_value(&expected).expect("JSON")).await;
        assert_eq!((again.parameters, again.bytes), (image.parameters.clone(), image.bytes));
    }
}

#[tokio::test]
async fn what_is_no_picture_is_refused_by_name() {
    let daemon = Daemon::start().await;
    for body in [json!({"image": "/etc/passwd"}), json!({"image": "aGVsbG8="}), json!({"image": ""}), json!({})] {
        let answer = daemon.post(routes::IMAGES_INSPECT, &body).await;
        let error = refused(answer, StatusCode::BAD_REQUEST).await;
        assert_eq!(error.field.as_deref(), Some("image"), "{body}");
    }
    let text = daemon.ask(Method::POST, routes::IMAGES_INSPECT).header("content-type", "text/html").body("<p>");
    assert_eq!(text.send().await.expect("answers").status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn pictures_are_found_tagged_and_deleted() {
    let daemon = Daemon::start().await;
    let mut images = Vec::new();
    for (seed, prompt) in [(1, "a red tent"), (2, "a green tree"), (3, "a red tree")] {
        images.push(made(&daemon, json!({"prompt": prompt, "steps": 1, "seed": seed})).await);
    }
    let ids = |page: &ImagePage| page.images.iter().map(|image| image.parameters.seed).collect::<Vec<_>>();
    assert_eq!(ids(&page(&daemon, "q=TREE").await), [3, 2]);
    assert_eq!(ids(&page(&daemon, "q=red+tree").await), [3]);
    let first = page(&daemon, "limit=2").await;
    let cursor = first.next_cursor.clone().expect("there is more");
    let second = page(&daemon, &format!("limit=2&cursor={cursor}")).await;
    assert_eq!((ids(&first), ids(&second), second.next_cursor), (vec![3, 2], vec![1], None));
    let change = json!({"favourite": true, "tags": ["night", "blue"]});
    let changed = daemon.ask(Method::PATCH, &images[0].url).json(&change).send().await.expect("answers");
    let changed: StoredImage = changed.json().await.expect("JSON");
    assert_eq!((changed.favourite, changed.tags), (true, vec!["blue".to_owned(), "night".to_owned()]));
    assert_eq!(ids(&page(&daemon, "favourite=true").await), [1]);
    assert_eq!(ids(&page(&daemon, "tag=blue&tag=night").await), [1]);
    let wrong = daemon.ask(Method::PATCH, &images[0].url).json(&json!({"tags": [""]})).send().await.expect("answers");
    assert_eq!(refused(wrong, StatusCode::BAD_REQUEST).await.field.as_deref(), Some("tags"));
    for expected in [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND] {
        let answer = daemon.ask(Method::DELETE, &images[0].url).send().await.expect("answers");
        assert_eq!(answer.status(), expected);
    }
    assert_eq!(daemon.get(&images[0].url).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(ids(&page(&daemon, "").await), [3, 2]);
    for (query, field) in [("limit=0", "limit"), ("from=soon", "from"), ("cursor=../x", "cursor")] {
        let error = refused(daemon.get(&format!("{}?{query}", routes::IMAGES)).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(error.field.as_deref(), Some(field));
    }
}

#[tokio::test]
async fn a_selection_comes_as_a_zip_file() {
    let daemon = Daemon::start().await;
    let first = made(&daemon, tent(1)).await;
    let second = made(&daemon, json!({"prompt": "a tree", "steps": 1, "seed": 2})).await;
    let file = daemon.get(&second.url).await.bytes().await.expect("bytes");
    let found = daemon.get(&format!("{}?q=tree", routes::IMAGES_EXPORT)).await;
    let named = daemon.post(routes::IMAGES_EXPORT, &json!({"ids": [second.id]})).await;
    for answer in [found, named] {
        assert_eq!((answer.status(), header(&answer, "content-type")), (StatusCode::OK, "application/zip"));
        let zip = answer.bytes().await.expect("whole");
        let holds = |part: &[u8]| zip.windows(part.len()).any(|window| window == part);
        assert!(holds(&file) && holds(format!("{}.json", second.id).as_bytes()));
        assert!(!holds(format!("{}.png", first.id).as_bytes()));
    }
    let error = refused(daemon.post(routes::IMAGES_EXPORT, &json!({"ids": []})).await, StatusCode::BAD_REQUEST).await;
    assert_eq!(error.field.as_deref(), Some("ids"));
}

#[tokio::test]
async fn another_site_cannot_delete_a_picture() {
    let daemon = Daemon::start().await;
    let image = made(&daemon, tent(1)).await;
    for (method, path) in [(Method::DELETE, image.url.clone()), (Method::PATCH, image.url.clone())] {
        let ask = daemon.ask(method, &path).header("sec-fetch-site", "cross-site").json(&json!({"favourite": true}));
        assert_eq!(ask.send().await.expect("answers").status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(daemon.get(&image.url).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_deleted_picture_answers_nothing_any_more() {
    let daemon = Daemon::start().await;
    let first = made(&daemon, tent(7)).await;
    let again: Job = daemon.post(routes::TEXT2IMG, &tent(7)).await.json().await.expect("a job");
    assert!(again.result.is_some_and(|result| result.cached), "it is known");
    let deleted = daemon.ask(Method::DELETE, &first.url).send().await.expect("answers");
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let shown = daemon.job(&again.id).await.result.expect("a result");
    assert!(shown.images.is_empty(), "the job that it answered has lost it too");
    let job: Job = daemon.post(routes::TEXT2IMG, &tent(7)).await.json().await.expect("a job");
    assert_eq!(job.result, None);
}

#[tokio::test]
async fn a_file_goes_from_the_disk_with_its_last_picture() {
    let config = config();
    let home = config.home.clone();
    let daemon = Daemon::with(config, Arc::new(fake::start(Duration::from_millis(1)).expect("a thread"))).await;
    let image = made(&daemon, tent(7)).await;
    daemon.get(&format!("{}?w=128", image.url)).await.bytes().await.expect("a small one");
    assert_eq!((files(&home.join("blobs")), files(&home.join("thumbnails"))), (1, 1));
    daemon.ask(Method::DELETE, &image.url).send().await.expect("answers");
    assert_eq!((files(&home.join("blobs")), files(&home.join("thumbnails"))), (0, 0));
    let job = image.job_id.expect("a job");
    let result = daemon.job(&job).await.result.expect("a result");
    assert!(result.images.is_empty(), "the job stays, without it");
}

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

//! Pulls over HTTP: asked for, followed, stopped, refused; and what a page then fetches from the daemon.

use super::{WEIGHTS, World, files, whole::embedded};
use crate::support::{
    daemon::{Daemon, PATIENCE, config, refused},
    hub::{Hub, Reply, file},
};
use fresco_api::{ErrorCode, ModelFile, ModelId, ModelInfo, Pull, PullStatus, routes};
use fresco_daemon::{
    config::Config,
    engine::fake,
    models::hub::{Settings, Token},
};
use reqwest::{Method, Response, StatusCode};
use std::{sync::Arc, time::Duration};

const SECRET: &str = "hf_a_secret_of_the_test";

async fn daemon(world: &World, hub: &Hub) -> Daemon {
    let settings = Settings { token: Token::new(SECRET), ..world.settings(hub) };
    let config = Config { home: world.home.clone(), hub: Some(settings), ..config() };
    Daemon::with(config, Arc::new(fake::start(Duration::from_millis(1)).expect("a thread"))).await
}

async fn ask(daemon: &Daemon, method: Method, path: &str) -> Response {
    daemon.ask(method, path).send().await.expect("answers")
}

async fn start(daemon: &Daemon, id: &str) -> Pull {
    let answer = ask(daemon, Method::POST, &routes::model_pull(&id.into())).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.headers()["location"], routes::pull(&id.into()));
    answer.json().await.expect("a pull")
}

/// Everything that is told of a pull, to its end.
async fn followed(daemon: &Daemon, id: &str) -> Vec<Pull> {
    let stream = ask(daemon, Method::GET, &routes::pull_events(&id.into())).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let text = tokio::time::timeout(PATIENCE, stream.text()).await.expect("ends").expect("text");
    assert!(!text.contains(SECRET));
    let told = text.lines().filter_map(|line| line.strip_prefix("data:"));
    told.map(|data| serde_json::from_str(data.trim()).expect("a pull")).collect()
}

async fn models(daemon: &Daemon) -> Vec<String> {
    let models: Vec<ModelInfo> = daemon.get(routes::MODELS).await.json().await.expect("a list");
    models.into_iter().map(|model| model.id.0).collect()
}

#[tokio::test]
async fn a_model_is_pulled_served_and_removed() {
    let (world, files) = (World::new("served"), embedded());
    let hub = Hub::honest(files.clone());
    let daemon = daemon(&world, &hub).await;
    assert_eq!(start(&daemon, "sd-turbo").await.id, ModelId::from("sd-turbo"));
    let told = followed(&daemon, "sd-turbo").await;
    let last = told.last().expect("words");
    assert_eq!((last.status, last.error.as_ref()), (PullStatus::Done, None), "{told:?}");
    assert!(last.total > 1_000_000 && last.received == last.total, "{last:?}");
    assert_eq!(models(&daemon).await, ["fresco-tiny", "sd-turbo"]);

    let id = ModelId::from("sd-turbo");
    let listed: Vec<ModelFile> = daemon.get(&routes::model_files(&id)).await.json().await.expect("files");
    assert!(listed.iter().any(|file| file.sha256.is_some()) && listed.iter().any(|file| file.git.is_some()));
    for listed in &listed {
        let whole = daemon.get(&format!("/weights/sd-turbo/{}", listed.path)).await;
        assert_eq!(whole.content_length(), Some(listed.size), "{listed:?}");
        assert!(whole.bytes().await.expect("bytes") == files[&listed.path], "{listed:?}");
    }
    let (path, bytes) = files.iter().max_by_key(|(_, bytes)| bytes.len()).expect("files");
    let part = daemon.ask(Method::GET, &format!("/weights/sd-turbo/{path}")).header("range", "bytes=1500000-");
    let part = part.send().await.expect("answers");
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert!(part.bytes().await.expect("bytes") == bytes[1_500_000..], "several pieces in their order");
    for other in ["fresco-pull.json", "../../served/models/sd-turbo/model_index.json", "%2e%2e%2fx", ""] {
        let answer = daemon.get(&format!("/weights/sd-turbo/{other}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{other}");
    }

    assert_eq!(ask(&daemon, Method::DELETE, &routes::model(&id)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(models(&daemon).await, ["fresco-tiny"]);
    for gone in ["sd-turbo", "fresco-tiny", "..", ".pull"] {
        let answer = ask(&daemon, Method::DELETE, &format!("/models/{gone}")).await;
        assert!(matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED), "{gone}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_asked_for_twice_is_fetched_once_and_can_be_stopped() {
    let (world, files) = (World::new("served-stopped"), files(400_000));
    let (bytes, pause) = (files[WEIGHTS].clone(), Some(Duration::from_millis(40)));
    let hub = Hub::start(files.clone(), move |ask| {
        let slow = ask.is_file(WEIGHTS) && ask.from().is_none();
        slow.then(|| Reply { pause, ..file(&bytes, ask) })
    });
    let daemon = daemon(&world, &hub).await;
    start(&daemon, "taesd").await;
    let some = async {
        loop {
            let again = start(&daemon, "taesd").await;
            if again.received > 50_000 {
                break again;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let again = tokio::time::timeout(PATIENCE, some).await.expect("bytes come");
    assert_eq!((again.status, hub.files_asked().len()), (PullStatus::Running, 2));
    refused(ask(&daemon, Method::DELETE, "/models/taesd").await, StatusCode::CONFLICT).await;
    assert_eq!(ask(&daemon, Method::DELETE, "/pulls/taesd").await.status(), StatusCode::ACCEPTED);
    assert_eq!(followed(&daemon, "taesd").await.last().map(|pull| pull.status), Some(PullStatus::Cancelled));
    assert!(!world.place().exists() && world.staged(".part").len() == 1, "what came is kept");

    start(&daemon, "taesd").await;
    assert_eq!(followed(&daemon, "taesd").await.last().map(|pull| pull.status), Some(PullStatus::Done));
    world.assert_holds(&files);
    let last = hub.files_asked().pop().and_then(|ask| ask.from());
    assert!(last.is_some_and(|from| from > 50_000), "it went on where it was: {last:?}");
    let all: Vec<Pull> = daemon.get(routes::PULLS).await.json().await.expect("a list");
    assert_eq!(all.len(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_daemon_that_stops_stops_its_pulls() {
    let (world, files) = (World::new("served-ended"), files(400_000));
    let bytes = files[WEIGHTS].clone();
    let pause = Some(Duration::from_millis(500));
    let hub = Hub::start(files, move |ask| ask.is_file(WEIGHTS).then(|| Reply { pause, ..file(&bytes, ask) }));
    let daemon = daemon(&world, &hub).await;
    start(&daemon, "taesd").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = std::time::Instant::now();
    daemon.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_cannot_be_pulled_is_said_in_plain_words() {
    let world = World::new("served-refused");
    let gated = Hub::start(files(10), |ask| {
        ask.target.contains("/resolve/").then(|| Reply::new(403, "no").with("x-error-code", "GatedRepo"))
    });
    let daemon = daemon(&world, &gated).await;
    refused(ask(&daemon, Method::POST, "/models/sd9/pull").await, StatusCode::NOT_FOUND).await;
    refused(ask(&daemon, Method::POST, "/models/..%2f..%2fx/pull").await, StatusCode::NOT_FOUND).await;
    refused(ask(&daemon, Method::POST, "/models/fresco-tiny/pull").await, StatusCode::CONFLICT).await;
    for path in ["/pulls/taesd", "/pulls/taesd/events", "/models/taesd/files"] {
        refused(daemon.get(path).await, StatusCode::NOT_FOUND).await;
    }
    start(&daemon, "taesd").await;
    let last = followed(&daemon, "taesd").await.pop().expect("words");
    let error = last.error.expect("an error");
    assert_eq!((last.status, error.code), (PullStatus::Failed, ErrorCode::Forbidden));
    assert!(error.message.contains("is gated") && error.message.contains("accept its terms"), "{error}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_full_disk_is_told_before_the_first_byte() {
    let world = World::new("served-full");
    let large = format!(r#"{{"oid": "{}", "size": {}, "pointerSize": 134}}"#, "0".repeat(64), 1u64 << 40);
    let list = format!(
        r#"[{{"type": "file", "path": "config.json", "size": 2}},
            {{"type": "file", "path": "{WEIGHTS}", "size": 134, "lfs": {large}}}]"#
    );
    let hub = Hub::start(files(10), move |ask| ask.target.contains("/tree/").then(|| Reply::new(200, list.clone())));
    let daemon = daemon(&world, &hub).await;
    start(&daemon, "taesd").await;
    let error = followed(&daemon, "taesd").await.pop().and_then(|pull| pull.error).expect("an error");
    assert!(error.message.starts_with("The disk has ") && error.message.contains("1099."), "{error}");
    assert!(!error.message.contains('/') && hub.files_asked().is_empty(), "{error}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_tabs_hub_is_named_only_where_it_is_allowed() {
    let policy = async |tab_hub: Vec<String>| {
        let config = Config { tab_hub, ..config() };
        let daemon = Daemon::with(config, Arc::new(fake::start(Duration::from_millis(1)).expect("a thread"))).await;
        let answer = daemon.get(routes::HEALTH).await;
        answer.headers()["content-security-policy"].to_str().expect("text").to_owned()
    };
    assert!(policy(Vec::new()).await.contains("connect-src 'self';"));
    let origins = vec!["https://hub.example".to_owned(), "https://*.cdn.example".to_owned()];
    assert!(policy(origins).await.contains("connect-src 'self' https://hub.example https://*.cdn.example;"));
}

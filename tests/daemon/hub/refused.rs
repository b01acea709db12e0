//! Who may have what: gates, tokens, redirects to other hosts, and hubs that are down.

use super::{WEIGHTS, World, files};
use crate::support::hub::{Files, Hub, Reply, file};
use fresco_daemon::models::hub::{Settings, Token};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

const SECRET: &str = "hf_a_secret_of_the_test";

fn with_token(world: &World, hub: &Hub) -> Settings {
    Settings { token: Token::new(SECRET), ..world.settings(hub) }
}

/// A hub that answers requests for files by a status and its own error word.
fn refusing(status: u16, word: &'static str) -> Hub {
    Hub::start(files(10), move |ask| {
        let reply = Reply::new(status, "no");
        let reply = if word.is_empty() { reply } else { reply.with("x-error-code", word) };
        ask.target.contains("/resolve/").then_some(reply)
    })
}

#[tokio::test]
async fn gated_missing_and_wrong_tokens_are_told_apart() {
    let accept = "accept its terms at http://127.0.0.1";
    let cases: [(u16, &str, bool, &str, &str); 9] = [
        (401, "GatedRepo", false, "madebyollin/taesd is gated: accept its terms", "set HF_TOKEN"),
        (403, "GatedRepo", true, "is gated and this token's account may not read it", accept),
        (401, "", false, "is gated", "set HF_TOKEN"),
        (403, "", true, "may not read it", accept),
        (401, "", true, "the hub does not accept the token", "check HF_TOKEN"),
        (401, "RepoNotFound", false, "madebyollin/taesd is not on the hub", "moved, removed or made private"),
        (404, "RevisionNotFound", false, "madebyollin/taesd at main is not on the hub", ""),
        (404, "EntryNotFound", false, "config.json of madebyollin/taesd is not on the hub", ""),
        (404, "", true, "of madebyollin/taesd is not on the hub", ""),
    ];
    for (number, (status, word, token, first, second)) in cases.into_iter().enumerate() {
        let (world, hub) = (World::new(&format!("refused-{number}")), refusing(status, word));
        let settings = if token { with_token(&world, &hub) } else { world.settings(&hub) };
        let settings = Settings { at_once: 1, ..settings };
        let error = world.pull_with(settings, "taesd").await.expect_err("it is refused").to_string();
        assert!(error.contains(first) && error.contains(second), "{status} {word}: {error}");
        assert!(!error.contains(SECRET), "{error}");
        assert_eq!(hub.files_asked().len(), 1, "what is refused is not asked for again");
    }
}

#[tokio::test]
async fn a_repository_that_is_gone_is_told_from_its_list() {
    let hub = Hub::start(files(10), |ask| {
        ask.target.starts_with("/api/").then(|| Reply::new(404, "").with("x-error-code", "RepoNotFound"))
    });
    let error = World::new("gone").refusal(&hub).await;
    assert_eq!(error, "madebyollin/taesd is not on the hub at 127.0.0.1: it was moved, removed or made private");
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let files = files(50_000);
    let bytes = files[WEIGHTS].clone();
    let store = Hub::start(Files::new(), move |ask| Some(file(&bytes, ask)));
    let there = format!("{}/signed?key=1", store.base);
    let hub = Hub::start(files.clone(), move |ask| ask.is_file(WEIGHTS).then(|| Reply::redirect(&there)));
    let world = World::new("token");
    world.pull_with(with_token(&world, &hub), "taesd").await.expect("it is pulled");
    world.assert_holds(&files);
    let secret = Some(format!("Bearer {SECRET}"));
    assert!(
        hub.asked().len() >= 4 && hub.asked().iter().all(|ask| ask.headers.get("authorization") == secret.as_ref())
    );
    assert_eq!(store.asked().len(), 1);
    for ask in store.asked() {
        let line = format!("{ask:?}");
        assert!(!line.contains(SECRET) && !ask.headers.contains_key("authorization"), "{line}");
    }
}

#[tokio::test]
async fn a_host_that_points_back_gets_no_token_out() {
    let files = files(5_000);
    let hub_base = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let base = hub_base.clone();
    let store =
        Hub::start(Files::new(), move |_| Some(Reply::redirect(&format!("{}/back", base.lock().expect("set")))));
    let (bytes, there) = (files[WEIGHTS].clone(), format!("{}/x", store.base));
    let hub = Hub::start(files.clone(), move |ask| match &*ask.target {
        "/back" => Some(file(&bytes, ask)),
        _ => ask.is_file(WEIGHTS).then(|| Reply::redirect(&there)),
    });
    *hub_base.lock().expect("set") = hub.base.clone();
    let world = World::new("points-back");
    world.pull_with(with_token(&world, &hub), "taesd").await.expect("it is pulled");
    world.assert_holds(&files);
    let back: Vec<_> = hub.asked().into_iter().filter(|ask| ask.target == "/back").collect();
    assert!(back.len() == 1 && back[0].header("authorization").is_none(), "{back:?}");
}

#[tokio::test]
async fn redirects_that_lead_nowhere_good_are_not_followed() {
    let cases = [
        ("file", "file:///etc/passwd", "it leads to file:"),
        ("data", "data:text/plain,x", "it leads to data:"),
        ("loop", "/madebyollin/taesd/resolve/loop", "there are more than 5"),
        ("user", "http://user:word@127.0.0.1:1/x", "its target has a user name in it"),
        ("none", "http://", "its target is no address"),
    ];
    for (name, target, reason) in cases {
        let hub = Hub::start(files(10), move |ask| ask.target.contains("/resolve/").then(|| Reply::redirect(target)));
        let error = World::new(&format!("redirect-{name}")).refusal(&hub).await;
        assert!(error.contains("the redirect is not followed") && error.contains(reason), "{name}: {error}");
    }
}

#[tokio::test]
async fn an_address_that_expired_is_asked_for_again() {
    let (files, turn) = (files(20_000), AtomicUsize::new(0));
    let bytes = files[WEIGHTS].clone();
    let store = Hub::start(Files::new(), move |ask| match turn.fetch_add(1, Ordering::Relaxed) {
        0 => Some(file(&bytes, ask).cut(8_000)),
        1 => Some(Reply::new(403, "expired")),
        _ => Some(file(&bytes, ask)),
    });
    let there = format!("{}/signed", store.base);
    let hub = Hub::start(files.clone(), move |ask| ask.is_file(WEIGHTS).then(|| Reply::redirect(&there)));
    let world = World::new("expired");
    world.pull(&hub).await.expect("it is pulled");
    world.assert_holds(&files);
    assert_eq!(hub.files_asked().iter().filter(|ask| ask.is_file(WEIGHTS)).count(), 3);
}

#[tokio::test]
async fn a_busy_hub_is_waited_for_and_a_broken_one_is_left() {
    let (files, turn) = (files(2_000), AtomicUsize::new(0));
    let hub = Hub::start(files.clone(), move |_| match turn.fetch_add(1, Ordering::Relaxed) {
        0 => Some(Reply::new(429, "").with("retry-after", "1")),
        1 | 3 => Some(Reply::new(503, "")),
        _ => None,
    });
    let world = World::new("busy");
    let start = std::time::Instant::now();
    world.pull(&hub).await.expect("it is pulled");
    world.assert_holds(&files);
    assert!(start.elapsed() > Duration::from_secs(1), "Retry-After is honoured");

    let broken = Hub::start(files, |ask| ask.is_file(WEIGHTS).then(|| Reply::new(500, "")));
    let error = World::new("broken").refusal(&broken).await;
    assert_eq!(error, format!("127.0.0.1: {WEIGHTS}: it answers 500; what came is kept, pull again to go on"));
    assert_eq!(broken.files_asked().iter().filter(|ask| ask.is_file(WEIGHTS)).count(), 5);
}

#[tokio::test]
async fn nobody_there_is_said_plainly() {
    let world = World::new("nobody");
    let settings =
        Settings { pause: Duration::from_millis(1), ..Settings::new("http://127.0.0.1:9").expect("an address") };
    let error = world.pull_with(settings, "taesd").await.expect_err("nobody is there").to_string();
    assert!(error.starts_with("127.0.0.1: no connection"), "{error}");
}

//! Server-sent events as a test reads them.

use super::daemon::{Daemon, PATIENCE};
use fresco_api::{JobEvent, JobId, routes};
use reqwest::{Method, Response};

/// One event of a stream.
#[derive(Debug)]
pub struct Sent {
    pub id: u64,
    pub name: String,
    pub event: JobEvent,
}

/// Asks for a job's events after a number.
pub async fn open(daemon: &Daemon, id: &JobId, after: Option<u64>) -> Response {
    let mut ask = daemon.ask(Method::GET, &routes::job_events(id));
    if let Some(after) = after {
        ask = ask.header("last-event-id", after.to_string());
    }
    ask.send().await.expect("answers")
}

/// Every event of a stream, to its end.
pub async fn all(stream: Response) -> Vec<Sent> {
    let text = tokio::time::timeout(PATIENCE, stream.text()).await.expect("ends").expect("text");
    parse(&text)
}

/// Reads a stream until it holds an event that is wanted; what was read so far.
pub async fn until(stream: &mut Response, wanted: impl Fn(&JobEvent) -> bool) -> Vec<Sent> {
    let mut text = String::new();
    loop {
        let chunk = tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("comes in time").expect("no break");
        let chunk = chunk.expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).expect("text"));
        // A chunk may end within an event.
        let whole = text.rfind("\n\n").map_or(0, |end| end + 2);
        let sent = parse(&text[..whole]);
        if sent.iter().any(|sent| wanted(&sent.event)) {
            return sent;
        }
    }
}

fn parse(text: &str) -> Vec<Sent> {
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    blocks
        .map(|block| {
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.unwrap_or_else(|| panic!("no {name} in {block}")).trim().to_owned()
            };
            Sent {
                id: field("id").parse().expect("a number"),
                name: field("event"),
                event: serde_json::from_str(&field("data")).expect("an event"),
            }
        })
        .collect()
}

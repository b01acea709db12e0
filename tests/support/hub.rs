//! A model hub for one test: it speaks the protocol over plain sockets, and misbehaves as it is told.
//!
//! Written by hand, because a proper HTTP server refuses to lie about lengths or to break off.

use fresco_daemon::models::hub::{git_blob, sha256};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// The commit that every repository is at.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Path and query.
    pub target: String,
    /// Header names are in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Ask {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte of a range that is asked for.
    pub fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    pub fn is_file(&self, path: &str) -> bool {
        self.target.ends_with(&format!("/resolve/{COMMIT}/{path}"))
    }
}

/// An answer, honest or not.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub cut: Option<usize>,
    /// The Content-Length that is said, if it is another one; `Some(None)` says none.
    pub length: Option<Option<usize>>,
    /// A pause after each 16 KiB.
    pub pause: Option<Duration>,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn redirect(to: &str) -> Self {
        Self::new(302, "").with("location", to)
    }

    pub fn cut(self, after: usize) -> Self {
        Self { cut: Some(after), ..self }
    }
}

/// The files of a repository; those of weights are in large file storage.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What the hub does instead of being honest; `None` is honesty.
type Mischief = Box<dyn Fn(&Ask) -> Option<Reply> + Send + Sync>;

/// A running hub. Its thread ends with the test's process.
pub struct Hub {
    pub base: String,
    asked: Arc<Mutex<Vec<Ask>>>,
}

impl Hub {
    /// An honest hub that has `files` under every repository's name.
    pub fn honest(files: Files) -> Self {
        Self::start(files, |_| None)
    }

    /// A hub that has `files`, except where `mischief` answers.
    pub fn start(files: Files, mischief: impl Fn(&Ask) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, files, mischief) = (asked.clone(), Arc::new(files), Arc::new(Box::new(mischief) as Mischief));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, files, mischief) = (log.clone(), files.clone(), mischief.clone());
                thread::spawn(move || {
                    let Some(ask) = read(&stream) else { return };
                    log.lock().expect("the log").push(ask.clone());
                    let reply = mischief(&ask).unwrap_or_else(|| honest(&files, &ask));
                    // Whoever asked may be gone.
                    _ = write(stream, reply);
                });
            }
        });
        Self { base, asked }
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Ask> {
        self.asked.lock().expect("the log").clone()
    }

    /// Requests for files, not for lists.
    pub fn files_asked(&self) -> Vec<Ask> {
        self.asked().into_iter().filter(|ask| ask.target.contains("/resolve/")).collect()
    }
}

/// What an honest hub answers.
pub fn honest(files: &Files, ask: &Ask) -> Reply {
    if ask.target.contains("/revision/") {
        return Reply::new(200, format!(r#"{{"sha": "{COMMIT}", "siblings": []}}"#));
    }
    if ask.target.contains("/tree/") {
        return Reply::new(200, listing(files));
    }
    let found = files.iter().find(|(path, _)| ask.is_file(path));
    match found {
        Some((_, bytes)) => file(bytes, ask),
        None => Reply::new(404, "Entry not found").with("x-error-code", "EntryNotFound"),
    }
}

/// A file or the range of it that is asked for.
pub fn file(bytes: &[u8], ask: &Ask) -> Reply {
    let tag = format!("\"{}\"", &sha256(bytes)[..16]);
    let current = ask.header("if-range").is_none_or(|wanted| wanted == tag);
    match ask.from().filter(|_| current) {
        Some(from) if from >= bytes.len() => {
            Reply::new(416, "").with("content-range", &format!("bytes */{}", bytes.len()))
        }
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Reply::new(206, &bytes[from..]).with("content-range", &range).with("etag", &tag)
        }
        None => Reply::new(200, bytes).with("etag", &tag),
    }
}

/// The list of files as the hub's API gives it.
pub fn listing(files: &Files) -> String {
    let items: Vec<String> = files.iter().map(|(path, bytes)| item(path, bytes)).collect();
    format!("[{}]", items.join(","))
}

/// One file of a list.
pub fn item(path: &str, bytes: &[u8]) -> String {
    let (path, size, oid) = (format!("{path:?}"), bytes.len(), git_blob(bytes));
    let lfs = path
        .ends_with(".safetensors\"")
        .then(|| format!(r#", "lfs": {{"oid": "{}", "size": {size}, "pointerSize": 134}}"#, sha256(bytes)));
    format!(r#"{{"type": "file", "path": {path}, "size": {size}, "oid": "{oid}"{}}}"#, lfs.unwrap_or_default())
}

fn read(stream: &TcpStream) -> Option<Ask> {
    let mut lines = BufReader::new(stream).lines();
    let target = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Ask { target, headers })
}

fn write(mut stream: TcpStream, reply: Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", reply.status);
    if let Some(length) = reply.length.unwrap_or(Some(reply.body.len())) {
        head += &format!("content-length: {length}\r\n");
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    let sent = &reply.body[..reply.cut.unwrap_or(usize::MAX).min(reply.body.len())];
    for piece in sent.chunks(16 << 10) {
        stream.write_all(piece)?;
        thread::sleep(reply.pause.unwrap_or_default());
    }
    stream.flush()
}

/// Bytes that repeat nowhere: a linear congruential generator's high bits.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

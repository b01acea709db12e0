//! `fresco serve` as a process: how fast it answers, and how it ends.

use super::{fresco, one_line_error, run};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// A served daemon, killed when the test is over.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Starts on any port; where it is, by what it prints.
fn serve() -> (Served, String) {
    let mut command = fresco(&["serve", "--port", "0", "--no-open"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line.trim().rsplit_once("http://").expect("an address").1.to_owned();
    (Served(child), address)
}

fn health(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    let ask = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).expect("takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answers");
    answer
}

#[test]
fn it_answers_within_a_second_of_starting() {
    let start = Instant::now();
    let (_served, address) = serve();
    let answer = health(&address);
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""status":"ok""#), "{answer}");
}

#[cfg(unix)]
#[test]
fn a_polite_kill_ends_it_in_order() {
    for signal in ["-TERM", "-INT"] {
        let (mut served, address) = serve();
        health(&address);
        let pid = served.0.id().to_string();
        let kill = std::process::Command::new("kill").args([signal, &pid]).status();
        assert!(kill.expect("there is a kill command").success());
        let start = Instant::now();
        let ended = loop {
            if let Some(status) = served.0.try_wait().expect("a child") {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(12), "still there");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(ended.success(), "{signal}: {ended}");
    }
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let line = one_line_error(&run(&["serve", "--no-open", "--port", &port]));
    assert_eq!(line, format!("port {port} on 127.0.0.1 is in use; choose another with --port"));
}

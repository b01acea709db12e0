//! Opens the page where there is a browser and somebody who sees it.

use std::{
    io::{self, IsTerminal},
    process::{Command, Stdio},
    thread,
};

/// Opens `url` in the background; without a terminal, a display or a browser nothing happens.
pub(super) fn open(url: &str) {
    if !io::stdout().is_terminal() || !has_display() {
        return;
    }
    let mut command = opener(url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Waited for on a thread of its own, so that no dead child is left.
    thread::spawn(move || {
        if let Err(error) = command.status() {
            tracing::debug!("no browser was opened: {error}");
        }
    });
}

fn has_display() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos")) || set("WAYLAND_DISPLAY") || set("DISPLAY")
}

fn opener(url: &str) -> Command {
    let (program, before): (_, &[&str]) = if cfg!(windows) {
        ("cmd", &["/C", "start", ""])
    } else if cfg!(target_os = "macos") {
        ("open", &[])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(before).arg(url);
    command
}

//! Sentences and numbers for people.

use crate::protocol::DeviceInfo;
use fresco_api::{ApiError, ErrorCode, Health};

/// Bytes as megabytes with one decimal, such as `20.7 MB`.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Bytes as gigabytes with one decimal, such as `2.6 GB`; small ones as megabytes.
pub fn gigabytes(bytes: u64) -> String {
    if bytes < 100_000_000 { megabytes(bytes) } else { format!("{:.1} GB", bytes as f64 / 1e9) }
}

/// A duration such as `0.4 s`, `12 s` or `2 min 5 s`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds as f64 / 1e3;
    match milliseconds {
        0..10_000 => format!("{seconds:.1} s"),
        10_000..60_000 => format!("{seconds:.0} s"),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds / 1_000 % 60),
    }
}

/// One line about the device in the tab.
pub fn tab_device(device: &DeviceInfo) -> String {
    let name = device.name.trim();
    let known = |prefix: &str| if name.is_empty() { prefix.to_owned() } else { format!("{prefix}: {name}") };
    match (device.gpu, device.software, &device.note) {
        (true, true, _) => format!("{}. Emulated on the processor, so it is slow.", known("Software GPU")),
        (true, false, _) => known("WebGPU"),
        (false, _, Some(note)) => format!("Processor (WebAssembly). {note}"),
        (false, _, None) => "Processor (WebAssembly)".to_owned(),
    }
}

/// One line about the daemon's device.
pub fn daemon_device(health: &Health) -> String {
    match &health.device {
        Some(device) => format!("This machine: {device}"),
        None => format!("This machine, fresco {}", health.version),
    }
}

/// What a broken engine's technical reason means, and the reason itself in short.
pub fn broken_engine(reason: &str, gpu: bool) -> ApiError {
    let low = reason.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| low.contains(word));
    let sentence = if has(&["out of memory", "outofmemory", "out-of-memory", "alloc"]) {
        "The device ran out of memory."
    } else if gpu && has(&["lost", "poison", "destroyed", "could not be mapped"]) {
        "The graphics device was lost."
    } else if gpu && has(&["shader", "pipeline", "validation", "compilation", "wgpu"]) {
        "The graphics device refused a command."
    } else {
        "The engine in this tab stopped."
    };
    let short = root_cause(reason);
    let message = if short.is_empty() { sentence.to_owned() } else { format!("{sentence} ({short})") };
    ApiError::new(ErrorCode::Device, message)
}

/// The last cause that an error names, or its first line; in one short line.
fn root_cause(reason: &str) -> String {
    const SHOWN: usize = 200;
    let lines: Vec<&str> = reason.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let cause = lines.iter().rposition(|line| *line == "Caused by:").map_or(0, |at| at + 1);
    let line = lines.get(cause).or(lines.first()).copied().unwrap_or_default();
    let short: String = line.chars().take(SHOWN).collect();
    if short.len() < line.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(420), "0.4 s");
        assert_eq!(duration(12_400), "12 s");
        assert_eq!(duration(125_000), "2 min 5 s");
    }

    #[test]
    fn a_software_gpu_is_named_as_one() {
        let mut device =
            DeviceInfo { gpu: true, name: "SwiftShader".into(), software: true, binding: 1 << 27, note: None };
        assert!(tab_device(&device).starts_with("Software GPU: SwiftShader."));
        device.software = false;
        assert_eq!(tab_device(&device), "WebGPU: SwiftShader");
        let note = Some("No GPU here.".into());
        device = DeviceInfo { gpu: false, name: String::new(), software: false, binding: 0, note };
        assert_eq!(tab_device(&device), "Processor (WebAssembly). No GPU here.");
    }

    #[test]
    fn reasons_become_sentences() {
        let say = |reason: &str| broken_engine(reason, true).message;
        assert!(say("wgpu error: Out of Memory").starts_with("The device ran out of memory."));
        assert!(say("DevicePoisoned: Destroyed").starts_with("The graphics device was lost."));
        assert!(say("the staging buffer could not be mapped").starts_with("The graphics device was lost."));
        assert!(say("Invalid ShaderModule \"m\"").starts_with("The graphics device refused"));
        assert_eq!(say(""), "The engine in this tab stopped.");
        assert!(say(&"x".repeat(10_000)).len() < 300);
        assert!(broken_engine("a lost index", false).message.starts_with("The engine in this tab stopped."));
    }

    #[test]
    fn the_last_cause_is_the_one_that_is_said() {
        let reason =
            "It failed\nCaused by:\n  A launch failed\nCaused by:\n  Compilation error: bad type\nBacktrace:\nnone";
        assert_eq!(root_cause(reason), "Compilation error: bad type");
        assert_eq!(root_cause("\n one line \n"), "one line");
        assert_eq!(root_cause("all\nCaused by:"), "all");
    }
}

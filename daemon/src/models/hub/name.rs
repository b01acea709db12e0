//! Names of files in somebody else's repository: nothing that leads out of a folder or surprises a file system.

use super::HubError;

/// The longest path of a file in a repository.
const LONGEST: usize = 400;
/// Names that Windows keeps for devices, whatever the ending.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com1", "lpt1"];

/// Checks a path such as `unet/config.json`.
///
/// # Errors
/// It is absolute, has a `.` or `..` part, a backslash, a drive, a control character, or is too long.
pub fn check(path: &str) -> Result<(), HubError> {
    let plain = !path.is_empty() && path.len() <= LONGEST && path.split('/').all(is_plain);
    if plain { Ok(()) } else { Err(HubError::BadName { name: path.chars().take(80).collect() }) }
}

/// Whether one part of a path is an ordinary name.
pub fn is_plain(part: &str) -> bool {
    let bad = |c: char| c.is_control() || "\\:*?\"<>|".contains(c);
    let stem = part.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let dots = part.is_empty() || part.starts_with("..") || part == "." || part.ends_with(['.', ' ']);
    !dots && !part.contains(bad) && part.len() <= 200 && !DEVICES.contains(&stem.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_pass() {
        for good in ["model_index.json", "unet/config.json", ".gitattributes", "a/b.c/d-00001-of-00002.safetensors"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "x".repeat(500);
        let bad = [
            "",
            "/etc/passwd",
            "../x",
            "a/../x",
            "a/..",
            "./x",
            "a//b",
            "a/",
            "a\\b",
            "c:x",
            "C:/x",
            "a\0b",
            "a\nb",
            "nul",
            "a/NUL.txt",
            "a.",
            &long,
        ];
        for bad in bad {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}

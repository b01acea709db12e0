//! How much room a disk has left.

use std::{path::Path, process::Command};

/// Bytes that may still be written below `folder`; nothing where the system does not say.
///
/// Asks `df`, whose form POSIX fixes: the standard library has no word for it.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let output = Command::new("df").env("LC_ALL", "C").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    available(text.lines().nth(1)?)
}

/// The column before the one in per cent; names of file systems may have spaces.
fn available(line: &str) -> Option<u64> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let percent = columns.iter().position(|column| column.ends_with('%'))?;
    let blocks: u64 = columns.get(percent.checked_sub(1)?)?.parse().ok()?;
    blocks.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_available_blocks_are_found() {
        assert_eq!(available("/dev/sda1 1000 600 400 60% /"), Some(400 << 10));
        assert_eq!(available("a share 1000 600 400 60% /mnt/a b"), Some(400 << 10));
        assert_eq!(available("nonsense"), None);
        assert_eq!(available("60% /"), None);
    }

    #[cfg(unix)]
    #[test]
    fn this_machine_has_some() {
        assert!(free_bytes(&std::env::temp_dir()).is_some_and(|bytes| bytes > 0));
    }
}

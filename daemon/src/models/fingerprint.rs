//! Whether a model's folder is as it was when it was last looked at.

use std::{fs, path::Path, time::SystemTime};

/// A folder of a model has no more entries; what lies beyond does not count.
const MOST_ENTRIES: usize = 4_096;

/// Names, lengths and times of a folder's files and of those one folder down. Reads no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<(String, u64, Option<SystemTime>)>);

impl Fingerprint {
    /// Of a folder as it is now.
    pub fn of(folder: &Path) -> Self {
        let mut files = Vec::new();
        collect(folder, "", 1, &mut files);
        // The system lists a folder in any order.
        files.sort();
        Self(files)
    }
}

fn collect(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<(String, u64, Option<SystemTime>)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Of a link it is the target that is read, so it is the target that counts.
        let Ok(found) = fs::metadata(entry.path()) else { continue };
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if files.len() >= MOST_ENTRIES {
            return;
        }
        if found.is_dir() && depth > 0 {
            collect(&entry.path(), &format!("{name}/"), depth - 1, files);
        } else if found.is_file() {
            files.push((name, found.len(), found.modified().ok()));
        }
    }
}

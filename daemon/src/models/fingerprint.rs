//! Whether files are as they were when they were last looked at.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A folder of a model has no more entries; what lies beyond does not count.
const MOST_ENTRIES: usize = 4_096;

/// Names, lengths and times of files, of those in folders, and of those one folder down. Reads no file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(Vec<(String, u64, Option<SystemTime>)>);

impl Fingerprint {
    /// Of files and folders as they are now. What is not there leaves no trace, and its coming is seen.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let mut files = Vec::new();
        for path in paths {
            // Two folders of the same content are not the same.
            let name = path.to_string_lossy();
            match fs::metadata(path) {
                Ok(found) if found.is_file() => files.push((name.into_owned(), found.len(), found.modified().ok())),
                _ => collect(path, &format!("{name}/"), 1, &mut files),
            }
        }
        // The system lists a folder in any order.
        files.sort();
        Self(files)
    }

    /// Of one file.
    pub(super) fn of_file(path: &Path) -> Self {
        Self::of(&[path.to_owned()])
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

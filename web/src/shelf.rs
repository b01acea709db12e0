//! How models lie in the browser's private file system: names, plans, and what counts as whole.
//!
//! A model has a folder `models/ID`. Its `plan.json` is written before anything else and never changed: which files
//! there will be, and what they must be. A file lies under its encoded path, and beside it, once its bytes have been
//! compared with the digest, a mark that repeats that digest. A tab may be closed at any moment: what has no mark is
//! read through again.

use fresco_api::{ModelFile, ModelInfo};
use serde::{Deserialize, Serialize};

/// The folder with all models.
pub const SHELF: &str = "models";
/// What a model's folder must become.
pub const PLAN: &str = "plan.json";
/// The ending of a mark.
pub const MARK: &str = ".ok";

/// What a model's folder must become.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What the model takes.
    pub info: ModelInfo,
    /// What may be done with it.
    pub licence: String,
    /// Its files.
    pub files: Vec<Planned>,
}

/// One file of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// Path, length and digest.
    #[serde(flatten)]
    pub file: ModelFile,
    /// Where it comes from; empty for a file of the user's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
}

impl Plan {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|planned| planned.file.size).sum()
    }

    /// A file by its path.
    pub fn file(&self, path: &str) -> Option<&Planned> {
        self.files.iter().find(|planned| planned.file.path == path)
    }

    /// Whether every name and number can be used: the plan comes from a server.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.files.is_empty() || self.files.len() > 1_000 {
            return Err("It has no files, or too many".to_owned());
        }
        for planned in &self.files {
            let path = &planned.file.path;
            let parts = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
            if !parts || path.len() > 200 || path.chars().any(char::is_control) {
                return Err(format!("It lists {:?}, which is no file's name", shortened(path)));
            }
            if planned.file.size > 1 << 40 {
                return Err(format!("{path} would have {} bytes", planned.file.size));
            }
            if mark(&planned.file).is_none() {
                return Err(format!("Nobody says what {path} must be"));
            }
        }
        self.info.check()
    }
}

/// What a checked file's mark says: the digest that was compared, or for a file of the user's own its length.
pub fn mark(file: &ModelFile) -> Option<String> {
    let hex = |digest: &String, length: usize| digest.len() == length && digest.chars().all(|c| c.is_ascii_hexdigit());
    match (&file.sha256, &file.git) {
        (Some(sha256), _) if hex(sha256, 64) => Some(format!("sha256 {}", sha256.to_ascii_lowercase())),
        (None, Some(git)) if hex(git, 40) => Some(format!("git {}", git.to_ascii_lowercase())),
        _ => None,
    }
}

/// A path as one name of a file: the private file system has folders, but one level is enough.
pub fn encoded(path: &str) -> String {
    path.replace('%', "%25").replace('/', "%2F")
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fresco_api::published::Published;

    fn plan(path: &str, sha256: Option<&str>) -> Plan {
        let info = Published::find("sd-turbo").and_then(Published::info).expect("an entry");
        let sha256 = sha256.map(str::to_owned);
        let file = ModelFile { path: path.to_owned(), size: 3, sha256, git: None };
        Plan { info, licence: String::new(), files: vec![Planned { file, url: String::new() }] }
    }

    #[test]
    fn a_plan_with_strange_names_or_without_digests_is_refused() {
        let digest = "0".repeat(64);
        plan("unet/config.json", Some(&digest)).check().expect("is good");
        for path in ["", "/x", "../x", "a/../x", "a//b", "a\nb", "."] {
            assert!(plan(path, Some(&digest)).check().is_err(), "{path:?}");
        }
        for digest in [None, Some("abc"), Some(&*"g".repeat(64))] {
            assert!(plan("x", digest).check().is_err(), "{digest:?}");
        }
    }

    #[test]
    fn encoded_names_are_plain_and_differ() {
        assert_eq!(encoded("unet/config.json"), "unet%2Fconfig.json");
        assert_ne!(encoded("a%2Fb"), encoded("a/b"));
    }

    #[test]
    fn plans_survive_text() {
        let plan = plan("x", Some(&"0".repeat(64)));
        let text = serde_json::to_string(&plan).expect("text");
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
    }
}

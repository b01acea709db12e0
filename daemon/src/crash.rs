//! Places where a test lets the program die, to show that nothing is lost there.

use std::sync::OnceLock;

/// The variable that names the place; only tests set it.
pub const VARIABLE: &str = "FRESCO_TEST_CRASH_AT";

/// A place between two steps that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seam {
    /// Jobs are in the queue, and nobody was told.
    AfterCommit,
    /// A picture is being stored.
    MidBlob,
    /// The picture is stored, and its job does not know.
    AfterBlob,
    /// The job is completed, and nobody was told.
    AfterFinish,
}

impl Seam {
    /// Its name in [`VARIABLE`].
    pub fn name(self) -> &'static str {
        match self {
            Seam::AfterCommit => "after-commit",
            Seam::MidBlob => "mid-blob",
            Seam::AfterBlob => "after-blob",
            Seam::AfterFinish => "after-finish",
        }
    }
}

/// Whether a test wants the program to die here.
pub(crate) fn wanted(seam: Seam) -> bool {
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    WANTED.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref() == Some(seam.name())
}

/// Dies here at once, as by a power cut, if a test wants it.
pub(crate) fn at(seam: Seam) {
    if wanted(seam) {
        std::process::abort();
    }
}

//! What a server is told before it starts.

use crate::{
    engine::{DeviceChoice, MemoryOptions},
    images::{Retention, S3},
    models::hub,
};
use std::{num::NonZeroU32, path::PathBuf, time::Duration};

/// A server's settings. The command line fills them in; [`Config::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// `FRESCO_HOME`: models lie in its folder `models`, jobs in its database, pictures in its folder `blobs`.
    pub home: PathBuf,
    /// Model folders and files elsewhere.
    pub models: Vec<PathBuf>,
    /// Which device runs models.
    pub device: DeviceChoice,
    /// How models may use the device's memory.
    pub memory: MemoryOptions,
    /// Host names by which the server may be addressed, besides loopback and the address it is bound to.
    pub hosts: Vec<String>,
    /// How much the queue holds.
    pub queue: QueueLimits,
    /// Where models are fetched from; as the environment says when nothing is said here.
    pub hub: Option<hub::Settings>,
    /// The hub that the page may ask from the tab, and the hosts that it points to: origins. None is allowed when
    /// this is empty.
    pub tab_hub: Vec<String>,
    /// The bucket that has the pictures' files; without one they stay in `home`.
    pub storage: Option<S3>,
    /// How long pictures are kept.
    pub retention: Retention,
    /// How often one client may ask.
    pub rate: Option<Rate>,
    /// How long stopping may take.
    pub grace: Duration,
}

impl Config {
    /// The defaults, with data in `home`.
    pub fn new(home: PathBuf) -> Self {
        Self {
            home,
            models: Vec::new(),
            device: DeviceChoice::Auto,
            memory: MemoryOptions::default(),
            hosts: Vec::new(),
            queue: QueueLimits::default(),
            hub: None,
            tab_hub: Vec::new(),
            storage: None,
            retention: Retention::default(),
            rate: None,
            grace: Duration::from_secs(10),
        }
    }
}

/// How often one client may ask: a client that was quiet may ask four times as often at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second.
    pub per_second: NonZeroU32,
    /// Whether this holds for clients on this machine too.
    pub loopback: bool,
}

/// How much the queue holds, and how it works.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Jobs that may wait (`MAX_QUEUE_SIZE`).
    pub waiting: usize,
    /// Jobs that have ended and are remembered; their pictures stay in the history in any case.
    pub history_jobs: usize,
    /// Bytes of pictures that the jobs which wait and run may start from.
    pub picture_bytes: usize,
    /// Jobs that run at a time (`MAX_CONCURRENT_JOBS`). The native engine works on one and lets others wait.
    pub concurrent: usize,
    /// How long a job may take (`JOB_TIMEOUT`).
    pub timeout: Option<Duration>,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { waiting: 1_000, history_jobs: 100_000, picture_bytes: 2 << 30, concurrent: 1, timeout: None }
    }
}

/// Where data lives when `FRESCO_HOME` says nothing: the system's place for a user's data.
pub fn default_home() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = std::env::home_dir();
    let base = if cfg!(windows) {
        set("APPDATA")
    } else if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library/Application Support"))
    } else {
        set("XDG_DATA_HOME").or_else(|| home.map(|home| home.join(".local/share")))
    };
    base.map(|base| base.join("fresco"))
}

/// The user's own folders with models: `MODEL_PATH`, written as `PATH` is.
pub fn model_path() -> Vec<PathBuf> {
    let folders = std::env::var_os("MODEL_PATH").unwrap_or_default();
    std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()).collect()
}

//! Pulling models from a hub that breaks off, lies, changes its files, refuses, or leads elsewhere.

mod broken;
mod cache;
mod refused;
mod resume;
mod served;
mod whole;

use crate::support::hub::{Files, Hub, noise};
use fresco_daemon::models::{
    hub::{self, Listed, Settings, Watch},
    library::Library,
    published::Precision,
    pull::{Follow, Plan, PullError, Pulled, pull},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

/// The large file of the model that most tests pull.
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// The files of `taesd`: one small, one large, and one that is not wanted.
fn files(length: usize) -> Files {
    let text = |text: &str| text.as_bytes().to_vec();
    let files = [("config.json", text("{}")), (WEIGHTS, noise(length, 7)), ("README.md", text("not wanted"))];
    files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes)).collect()
}

/// A home of one test's own, and what a pull told.
struct World {
    home: PathBuf,
    library: Library,
    told: Told,
}

/// What was told, as lines.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl World {
    fn new(name: &str) -> Self {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hub").join(name);
        _ = fs::remove_dir_all(&home);
        Self { library: Library::new(&home, Vec::new()), home, told: Told::default() }
    }

    /// Settings for a hub, impatient and without any cache.
    fn settings(&self, hub: &Hub) -> Settings {
        let pause = Duration::from_millis(1);
        Settings { pause, silence: Duration::from_secs(5), ..Settings::new(&hub.base).expect("an address") }
    }

    async fn pull_with(&self, settings: Settings, id: &str) -> Result<Pulled, PullError> {
        let hub = hub::Hub::new(settings).expect("a client");
        let pulled = pull(&self.library, &hub, id, Precision::Fp16, &self.told);
        tokio::time::timeout(Duration::from_secs(60), pulled).await.expect("ends in time")
    }

    async fn pull(&self, hub: &Hub) -> Result<Pulled, PullError> {
        self.pull_with(self.settings(hub), "taesd").await
    }

    /// The sentence with which a pull fails; nothing is on the shelf then.
    async fn refusal(&self, hub: &Hub) -> String {
        let error = self.pull(hub).await.expect_err("it fails").to_string();
        assert!(!self.place().exists(), "{error}");
        error
    }

    fn place(&self) -> PathBuf {
        self.home.join("models/taesd")
    }

    fn staged(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.library.shelf().join(".pull")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(ending)).collect()
    }

    /// The shelf has exactly these bytes.
    fn assert_holds(&self, files: &Files) {
        for path in ["config.json", WEIGHTS] {
            assert!(fs::read(self.place().join(path)).expect(path) == files[path], "{path} is right");
        }
        assert!(!self.place().join("README.md").exists(), "what is not wanted is not fetched");
        assert!(self.staged(".part").is_empty() && self.staged(".json").is_empty(), "nothing is left over");
    }

    fn told(&self, words: &str) -> usize {
        self.told.0.lock().expect("lines").iter().filter(|line| line.contains(words)).count()
    }
}

impl Told {
    fn line(&self, line: String) {
        self.0.lock().expect("lines").push(line);
    }
}

impl Watch for Told {
    fn started(&self, file: &Listed, have: u64) {
        self.line(format!("started {} at {have}", file.path));
    }

    fn advanced(&self, _: &Listed, _: u64) {}

    fn restarted(&self, file: &Listed, _: u64) {
        self.line(format!("restarted {}", file.path));
    }

    fn finished(&self, file: &Listed, cached: bool) {
        self.line(format!("finished {} {} cached={cached}", file.path, file.digest));
    }
}

impl Follow for Told {
    fn planned(&self, plan: Plan) {
        self.line(format!("planned {plan:?}"));
    }
}

/// Every file below a folder.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

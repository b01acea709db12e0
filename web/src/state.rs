//! What the page knows of its jobs, and how each event changes it. Pure: no browser in here.

use crate::words;
use fresco_api::{ApiError, ErrorCode, JobEvent, JobResult, Params};

/// Where a job runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In this tab.
    #[default]
    Tab,
    /// In the daemon that served the page.
    Daemon,
}

impl Place {
    /// The short name that the picture carries.
    pub fn name(self) -> &'static str {
        match self {
            Place::Tab => "tab",
            Place::Daemon => "daemon",
        }
    }
}

/// How far the running job is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The stage in words.
    pub words: String,
    /// 0 to 1, or `None` while nobody can tell.
    pub share: Option<f64>,
}

impl Progress {
    fn open(words: impl Into<String>) -> Self {
        Self { words: words.into(), share: None }
    }
}

/// The job that runs now.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Where.
    pub place: Place,
    /// How far.
    pub progress: Progress,
    /// How it looks so far, as a data URL.
    pub preview: Option<String>,
    /// Its owner wants it stopped, but it has not said yet that it did.
    pub stopping: bool,
}

/// A picture of this session.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// A PNG as a data URL, in its natural size.
    pub source: String,
    /// What makes it again.
    pub params: Params,
    /// Milliseconds it took.
    pub time_taken: u64,
    /// Where it was made.
    pub place: Place,
    /// What made it, in words.
    pub device: String,
}

impl Picture {
    /// The file name of a download.
    pub fn file_name(&self) -> String {
        format!("fresco-{}-{}x{}.png", self.params.seed, self.params.width, self.params.height)
    }
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The error.
    pub error: ApiError,
    /// The processor may do what the GPU could not.
    pub try_cpu: bool,
}

/// Everything that jobs change on the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Studio {
    /// The job that runs, if one does.
    pub run: Option<Run>,
    /// What went wrong last, until the next job starts.
    pub problem: Option<Problem>,
    /// The last job was stopped by its owner.
    pub cancelled: bool,
    /// The session's pictures, newest first.
    pub pictures: Vec<Picture>,
    /// Which of them is shown.
    pub shown: usize,
}

/// The engine's side of an event: what the page knows beyond the event itself.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// What runs the job, in words.
    pub device: String,
    /// It runs on a GPU of this tab.
    pub tab_gpu: bool,
}

impl Studio {
    /// More pictures than this are forgotten, the oldest first.
    pub const KEPT: usize = 24;

    /// A job starts.
    pub fn begin(&mut self, place: Place) {
        self.problem = None;
        self.cancelled = false;
        self.run = Some(Run { place, progress: Progress::open("Starting"), preview: None, stopping: false });
    }

    /// The owner wants the running job stopped.
    pub fn stop(&mut self) {
        if let Some(run) = &mut self.run {
            run.stopping = true;
            run.progress.words = "Stopping".into();
        }
    }

    /// Something happened to the running job. Events of no job are ignored.
    pub fn apply(&mut self, event: JobEvent, context: Context) {
        let Some(run) = &mut self.run else { return };
        if event.is_final() {
            let place = run.place;
            self.run = None;
            return self.end(event, place, context);
        }
        if let JobEvent::Preview { image } = event {
            run.preview = Some(image);
            return;
        }
        if let (Some(progress), false) = (progress(&event), run.stopping) {
            run.progress = progress;
        }
    }

    /// A request that was refused before it became a job.
    pub fn refuse(&mut self, error: ApiError) {
        self.cancelled = false;
        self.problem = Some(Problem { error, try_cpu: false });
    }

    /// The picture in the frame.
    pub fn picture(&self) -> Option<&Picture> {
        self.pictures.get(self.shown)
    }

    fn end(&mut self, event: JobEvent, place: Place, context: Context) {
        match event {
            JobEvent::Done { result } => self.keep(*result, place, context),
            JobEvent::Failed { error } => {
                let try_cpu = context.tab_gpu && place == Place::Tab && error.code == ErrorCode::Device;
                self.problem = Some(Problem { error, try_cpu });
            }
            _ => self.cancelled = true,
        }
    }

    fn keep(&mut self, result: JobResult, place: Place, context: Context) {
        let JobResult { images, parameters: params, time_taken, .. } = result;
        let made = images.into_iter().map(|source| Picture {
            source,
            params: params.clone(),
            time_taken,
            place,
            device: context.device.clone(),
        });
        self.pictures.splice(0..0, made);
        self.pictures.truncate(Self::KEPT);
        self.shown = 0;
    }
}

/// The words and the share for an event that is not final; `None` when it says nothing of progress.
fn progress(event: &JobEvent) -> Option<Progress> {
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| (part / whole).clamp(0.0, 1.0));
    Some(match *event {
        JobEvent::Queued { ahead: 0 } => Progress::open("Waiting for the engine"),
        JobEvent::Queued { ahead: 1 } => Progress::open("Waiting: one job goes first"),
        JobEvent::Queued { ahead } => Progress::open(format!("Waiting: {ahead} jobs go first")),
        JobEvent::Loading { loaded, total } if loaded < total || total == 0 => Progress {
            words: format!("Loading the model: {} of {}", words::megabytes(loaded), words::megabytes(total)),
            share: share(loaded as f64, total as f64),
        },
        JobEvent::Loading { .. } => Progress::open("Reading the prompt"),
        JobEvent::Step { step, of } if step >= of => {
            Progress { words: "Decoding the picture".into(), share: Some(1.0) }
        }
        JobEvent::Step { step, of } => {
            Progress { words: format!("Step {} of {of}", step + 1), share: share(f64::from(step), f64::from(of)) }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

//! Fetches that clients ask for: one after the other, each model once, followed by whoever wants to.

use super::{
    hub::{Hub, HubError, Listed, Settings, Watch},
    library::{Library, LibraryError},
    published::{Precision, Published},
    pull::{Follow, Plan, PullError, pull},
};
use fresco_api::{ApiError, ErrorCode, ModelId, Pull, PullStatus};
use futures_util::{Stream, stream};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
};
use tokio_util::sync::CancellationToken;

/// The least time between two words to a listener.
const QUIET: Duration = Duration::from_millis(200);

/// The fetches since the server started; clones are the same fetches.
#[derive(Clone)]
pub struct Pulls(Arc<Inner>);

struct Inner {
    library: Library,
    /// Where from; as the environment says when there are none.
    settings: Option<Settings>,
    stopping: CancellationToken,
    /// The shelf is changed by one at a time.
    turn: Semaphore,
    known: Mutex<HashMap<ModelId, Entry>>,
}

/// One fetch, as others see it.
#[derive(Clone)]
struct Entry {
    state: Arc<watch::Sender<Pull>>,
    cancel: CancellationToken,
}

impl Pulls {
    /// Fetches into `library`, until `stopping` fires.
    pub fn new(library: Library, settings: Option<Settings>, stopping: CancellationToken) -> Self {
        let (turn, known) = (Semaphore::new(1), Mutex::default());
        Self(Arc::new(Inner { library, settings, stopping, turn, known }))
    }

    /// Begins to fetch a published model; one that is being fetched already goes on.
    ///
    /// # Errors
    /// No such model is published, or it is inside the program.
    pub fn start(&self, id: &str) -> Result<Pull, ApiError> {
        let entry = Published::find(id).ok_or_else(|| unknown(id))?;
        if entry.repository.is_none() {
            return Err(ApiError::new(ErrorCode::Conflict, format!("{} is part of the program", entry.id)));
        }
        let mut known = self.known();
        if let Some(running) = known.get(&entry.id).map(Entry::now).filter(|pull| !pull.status.is_final()) {
            return Ok(running);
        }
        let first = Pull { id: entry.id.clone(), ..Pull::default() };
        let begun = Entry { state: Arc::new(watch::Sender::new(first.clone())), cancel: self.0.stopping.child_token() };
        known.insert(entry.id.clone(), begun.clone());
        tokio::spawn(self.clone().run(entry, begun));
        Ok(first)
    }

    /// Every fetch, by the models' names.
    pub fn list(&self) -> Vec<Pull> {
        let mut all: Vec<Pull> = self.known().values().map(Entry::now).collect();
        all.sort_by(|a, b| a.id.0.cmp(&b.id.0));
        all
    }

    /// How far a model is.
    ///
    /// # Errors
    /// It was not asked for.
    pub fn find(&self, id: &str) -> Result<Pull, ApiError> {
        Ok(self.entry(id)?.now())
    }

    /// Stops a fetch. What came is kept.
    ///
    /// # Errors
    /// As [`Pulls::find`].
    pub fn cancel(&self, id: &str) -> Result<Pull, ApiError> {
        let entry = self.entry(id)?;
        entry.cancel.cancel();
        Ok(entry.now())
    }

    /// How far a model is, now and whenever it changes, up to its end.
    ///
    /// # Errors
    /// As [`Pulls::find`].
    pub fn follow(&self, id: &str) -> Result<impl Stream<Item = Pull> + Send + 'static, ApiError> {
        let heard = self.entry(id)?.state.subscribe();
        Ok(stream::unfold((heard, false, false), |(mut heard, told, over)| async move {
            if over {
                return None;
            }
            if told {
                tokio::time::sleep(QUIET).await;
                heard.changed().await.ok()?;
            }
            let now = heard.borrow_and_update().clone();
            let over = now.status.is_final();
            Some((now, (heard, true, over)))
        }))
    }

    /// Takes a model off the shelf.
    ///
    /// # Errors
    /// It is not there, it is being fetched, or the disk refuses. May take a while.
    pub fn remove(&self, id: &str) -> Result<(), ApiError> {
        let busy = self.find(id).is_ok_and(|pull| !pull.status.is_final());
        if busy {
            return Err(ApiError::new(ErrorCode::Conflict, format!("{id} is being fetched; stop that first")));
        }
        match self.0.library.remove(id) {
            Ok(_) => {
                self.known().retain(|known, _| known.0 != id);
                Ok(())
            }
            Err(LibraryError::Unknown(..) | LibraryError::BadName(_)) => {
                Err(ApiError::new(ErrorCode::NotFound, "No such model was fetched to this machine"))
            }
            Err(error) => Err(PullError::from(error).into()),
        }
    }

    async fn run(self, entry: &'static Published, begun: Entry) {
        let inner = self.0.clone();
        let turn = tokio::select! {
            turn = inner.turn.acquire() => turn.ok(),
            () = begun.cancel.cancelled() => None,
        };
        let ended = match turn {
            Some(_turn) => self.fetch(entry, &begun).await,
            None => Ok(PullStatus::Cancelled),
        };
        begun.state.send_modify(|pull| match ended {
            Ok(status) => {
                pull.status = status;
                if status == PullStatus::Done {
                    pull.received = pull.total;
                }
            }
            Err(error) => {
                tracing::warn!(model = %entry.id, "cannot be fetched: {error}");
                (pull.status, pull.error) = (PullStatus::Failed, Some(error));
            }
        });
    }

    async fn fetch(&self, entry: &'static Published, begun: &Entry) -> Result<PullStatus, ApiError> {
        let (inner, Entry { state, cancel }) = (self.0.clone(), begun.clone());
        state.send_modify(|pull| pull.status = PullStatus::Running);
        let work = move || {
            let settings = inner.settings.clone().map_or_else(Settings::from_env, Ok).map_err(PullError::from)?;
            let (hub, told) = (Hub::new(settings).map_err(PullError::from)?, Told(state));
            let fetch = async {
                tokio::select! {
                    pulled = pull(&inner.library, &hub, &entry.id.0, Precision::Fp16, &told) => {
                        pulled.map(|_| PullStatus::Done).map_err(ApiError::from)
                    }
                    () = cancel.cancelled() => Ok(PullStatus::Cancelled),
                }
            };
            Handle::current().block_on(fetch)
        };
        // It reads and links files between its waits, so it has a thread of its own.
        let ended = tokio::task::spawn_blocking(work).await;
        ended.unwrap_or_else(|_| Err(ApiError::new(ErrorCode::Internal, "The fetch broke off")))
    }

    fn entry(&self, id: &str) -> Result<Entry, ApiError> {
        let named = Published::find(id).map(|entry| &entry.id);
        named
            .and_then(|id| self.known().get(id).cloned())
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "No such model was asked for since the server started"))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ModelId, Entry>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn now(&self) -> Pull {
        self.state.borrow().clone()
    }
}

/// Keeps the fetch's state up to date.
struct Told(Arc<watch::Sender<Pull>>);

impl Watch for Told {
    fn started(&self, _: &Listed, _: u64) {}

    fn advanced(&self, _: &Listed, bytes: u64) {
        self.0.send_modify(|pull| pull.received = pull.received.saturating_add(bytes));
    }

    fn restarted(&self, _: &Listed, lost: u64) {
        self.0.send_modify(|pull| pull.received = pull.received.saturating_sub(lost));
    }

    fn finished(&self, _: &Listed, _: bool) {}
}

impl Follow for Told {
    fn planned(&self, plan: Plan) {
        self.0.send_modify(|pull| {
            (pull.received, pull.total) = (plan.bytes.saturating_sub(plan.missing), plan.bytes);
        });
    }
}

fn unknown(id: &str) -> ApiError {
    let id: String = id.chars().take(80).collect();
    ApiError::new(ErrorCode::NotFound, format!("There is no published model {id:?}"))
}

impl From<PullError> for ApiError {
    /// In words for somebody who may sit elsewhere: without this machine's paths.
    fn from(error: PullError) -> Self {
        use HubError::{GatedWithoutAccess, GatedWithoutToken, Missing, TokenRefused};
        let code = match &error {
            PullError::Hub(GatedWithoutToken { .. } | GatedWithoutAccess { .. } | TokenRefused) => ErrorCode::Forbidden,
            PullError::Hub(Missing { .. }) | PullError::Incomplete { .. } | PullError::Unknown(_) => {
                ErrorCode::NotFound
            }
            PullError::Hub(_) => ErrorCode::Internal,
            _ => ErrorCode::Conflict,
        };
        let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
        let message = match &error {
            PullError::Space { free, need, .. } => {
                format!("The disk has {} free and {} are needed: make room", gigabytes(*free), gigabytes(*need))
            }
            PullError::Hub(HubError::Disk { error, .. }) | PullError::Library(LibraryError::Disk { error, .. }) => {
                format!("The disk refuses: {error}")
            }
            PullError::Library(LibraryError::Busy(_)) => "Another program changes this machine's models".to_owned(),
            other => other.to_string(),
        };
        ApiError::new(code, message)
    }
}

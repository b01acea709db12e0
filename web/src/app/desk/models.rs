//! What the page does with models: chooses, fetches, stops, removes, and keeps the list of them up to date.

use super::Desk;
use crate::{engine::TabState, net};
use fresco_api::{ApiError, ModelId, ModelInfo, Pull, PullStatus, routes};
use fresco_web::{
    catalogue::{self, Remote, Row},
    fit::{Fit, fit},
    protocol::{
        DeviceInfo,
        shelf::{Origin, StoreCommand, StoreReport},
    },
    state::Place,
    wait::wait,
    words,
};
use js_sys::Reflect;
use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

/// The daemon is asked so often how far a fetch is.
const ASK_MS: i32 = 500;

impl Desk {
    /// The models that can make the next picture at the chosen place.
    pub fn usable(self) -> Vec<ModelInfo> {
        let (embedded, remote) = (self.embedded.get(), self.remote.get());
        self.shelf.with(|shelf| catalogue::usable(embedded.as_ref(), shelf, remote.as_ref(), self.place.get()))
    }

    /// Every model that the page can offer.
    pub fn rows(self) -> Vec<Row> {
        let (embedded, remote) = (self.embedded.get(), self.remote.get());
        self.shelf.with(|shelf| catalogue::rows(embedded.as_ref(), shelf, remote.as_ref(), hub().is_some()))
    }

    /// Takes another model for the next picture; the numbers become its own.
    pub fn choose_model(self, id: &ModelId) {
        let usable = untrack(|| self.usable());
        let same = self.model.with_untracked(|model| model.as_ref().is_some_and(|model| model.id == *id));
        if let Some(model) = usable.into_iter().find(|model| model.id == *id).filter(|_| !same) {
            self.form.update(|form| form.refit(&model));
            self.model.set(Some(model));
        }
    }

    /// Goes to another place. Where it lacks the model, the embedded one is taken.
    pub fn go(self, place: Place) {
        self.place.set(place);
        let usable = untrack(|| self.usable());
        let chosen = self.model.with_untracked(|model| model.as_ref().map(|model| model.id.clone()));
        if !usable.iter().any(|model| Some(&model.id) == chosen.as_ref())
            && let Some(first) = usable.first()
        {
            self.choose_model(&first.id);
        }
    }

    /// Whether the tab can make a picture of the form's size with a model.
    pub fn tab_fit(self, info: &ModelInfo) -> Fit {
        let typed = self.form.with(|form| form.width.parse::<u32>().ok());
        let chosen = self.model.with(|model| model.as_ref().is_some_and(|model| model.id == info.id));
        let side = typed.filter(|_| chosen).unwrap_or(info.default_side);
        let device: Option<DeviceInfo> = self.tab.with(|tab| match tab {
            TabState::Ready(device) => Some(device.clone()),
            _ => None,
        });
        fit(info, side, device.as_ref())
    }

    /// Fetches a model into this browser: from the daemon if that has it, else from the hub.
    pub fn get_in_tab(self, info: ModelInfo, licence: String) {
        let remote = self.remote.with_untracked(|remote| {
            remote.as_ref().is_some_and(|remote| remote.models.iter().any(|model| model.id == info.id))
        });
        let from = match (remote, hub()) {
            (true, _) => Origin::Daemon,
            (false, Some(endpoint)) => Origin::Hub { endpoint },
            // What is partly there goes on from where it came.
            (false, None) => Origin::Daemon,
        };
        self.trouble.set(None);
        spawn_local(async move {
            if !persist().await {
                let words = "The browser does not promise to keep models: it may remove them when the disk is full.";
                self.trouble.set(Some(words.to_owned()));
            }
            self.ask_store(&StoreCommand::Get { info: Box::new(info), licence, from });
        });
    }

    /// Stops a fetch into this browser.
    pub fn stop_in_tab(self, id: ModelId) {
        self.ask_store(&StoreCommand::Stop { id });
    }

    /// Removes a model from this browser.
    pub fn remove_from_tab(self, id: ModelId) {
        self.forget(&id, Place::Tab);
        self.ask_store(&StoreCommand::Remove { id });
    }

    /// Copies a model of the user's own into this browser: a folder's files or one file, each with its path.
    pub fn import(self, files: Vec<(String, File)>) {
        let Some((first, _)) = files.first() else { return };
        let name = first.split('/').next().unwrap_or_default().to_owned();
        self.trouble.set(None);
        spawn_local(async move {
            persist().await;
            if let Some(store) = self.store.get_value() {
                store.import(&name, files);
            }
        });
    }

    /// Has the daemon fetch a model.
    pub fn get_at_daemon(self, id: ModelId) {
        spawn_local(async move {
            match net::post::<Pull>(net::beside(&routes::model_pull(&id))).await {
                Ok(pull) => {
                    self.note_remote(pull);
                    self.watch(id);
                }
                Err(error) => self.complain(error),
            }
        });
    }

    /// Stops the daemon's fetch.
    pub fn stop_at_daemon(self, id: ModelId) {
        spawn_local(async move {
            if let Err(error) = net::delete(net::beside(&routes::pull(&id))).await {
                self.complain(error);
            }
        });
    }

    /// Removes a model from the daemon's disk.
    pub fn remove_from_daemon(self, id: ModelId) {
        spawn_local(async move {
            match net::delete(net::beside(&routes::model(&id))).await {
                Ok(()) => self.forget(&id, Place::Daemon),
                Err(error) => self.complain(error),
            }
            self.list_remote().await;
        });
    }

    /// Asks the daemon what it has, and follows what it is fetching.
    pub(super) async fn list_remote(self) {
        if self.daemon.with_untracked(Option::is_none) {
            return;
        }
        let Ok(models) = net::get::<Vec<ModelInfo>>(net::beside(routes::MODELS)).await else { return };
        let pulls = net::get::<Vec<Pull>>(net::beside(routes::PULLS)).await.unwrap_or_default();
        let known = self.remote.with_untracked(|remote| remote.as_ref().map(|remote| remote.pulls.clone()));
        let running = pulls.iter().filter(|pull| !pull.status.is_final()).map(|pull| pull.id.clone());
        let unseen: Vec<ModelId> = running.filter(|id| !known.iter().flatten().any(|known| known.id == *id)).collect();
        self.remote.set(Some(Remote { models, pulls }));
        for id in unseen {
            self.watch(id);
        }
    }

    /// Apart from what lists, because following ends in another list.
    fn watch(self, id: ModelId) {
        spawn_local(async move { self.follow(id).await });
    }

    pub(super) fn hear_store(self, report: StoreReport) {
        match report {
            StoreReport::Up => self.ask_store(&StoreCommand::List),
            StoreReport::Shelf { models, free } => {
                self.shelf.update(|shelf| (shelf.models, shelf.free) = (models, free));
                self.go(self.place.get_untracked());
            }
            StoreReport::Progress { pull } => {
                let listed = untrack(|| self.rows()).iter().any(|row| row.info.id == pull.id);
                if !listed {
                    self.trouble.set(copying(&pull));
                }
                self.shelf.update(|shelf| catalogue::note(&mut shelf.pulls, pull));
            }
            StoreReport::Fatal { reason } => self.trouble.set(Some(reason)),
        }
    }

    fn ask_store(self, command: &StoreCommand) {
        if let Some(store) = self.store.get_value() {
            store.ask(command);
        }
    }

    /// The model makes no next picture at a place that has it no longer.
    fn forget(self, id: &ModelId, place: Place) {
        let chosen = self.model.with_untracked(|model| model.as_ref().is_some_and(|model| model.id == *id));
        let embedded = self.embedded.get_untracked();
        if let (true, Some(embedded)) = (chosen && self.place.get_untracked() == place, embedded) {
            self.choose_model(&embedded.id);
        }
    }

    async fn follow(self, id: ModelId) {
        loop {
            wait(ASK_MS).await;
            match net::get::<Pull>(net::beside(&routes::pull(&id))).await {
                Ok(pull) => {
                    let status = pull.status;
                    self.note_remote(pull);
                    if status == PullStatus::Done {
                        return self.list_remote().await;
                    }
                    if status.is_final() {
                        return;
                    }
                }
                Err(error) => return self.complain(error),
            }
        }
    }

    fn note_remote(self, pull: Pull) {
        self.remote.update(|remote| catalogue::note(&mut remote.get_or_insert_default().pulls, pull));
    }

    fn complain(self, error: ApiError) {
        self.trouble.set(Some(error.message));
    }
}

/// How far a copy of the user's own files is, which is not in the list yet.
fn copying(pull: &Pull) -> Option<String> {
    match (&pull.error, pull.status) {
        (Some(error), _) => Some(format!("{}: {}", pull.id, error.message)),
        (None, PullStatus::Running) => Some(format!("Copying {}: {} so far", pull.id, words::gigabytes(pull.received))),
        _ => None,
    }
}

/// The hub that the page may ask by itself, where whoever serves the page has named one.
fn hub() -> Option<String> {
    let named = document().query_selector("meta[name=fresco-hub]").ok().flatten()?.get_attribute("content")?;
    (!named.trim().is_empty()).then(|| named.trim().to_owned())
}

/// Asks the browser to keep models for good.
async fn persist() -> bool {
    let manager = Reflect::get(&window().navigator(), &"storage".into()).ok().filter(|manager| manager.is_object());
    let Some(_) = manager else { return false };
    let Ok(promise) = window().navigator().storage().persist() else { return false };
    JsFuture::from(promise).await.is_ok_and(|kept| kept.as_bool() == Some(true))
}

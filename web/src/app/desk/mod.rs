//! The page's desk: its signals, and what its buttons do. Views read the signals and call these.

mod models;
mod pictures;

pub use pictures::Which;

use crate::{
    engine::{DaemonEngine, Engines, Listener, TabEngine, TabState},
    net,
    store::Store,
};
use fresco_api::{ApiError, ErrorCode, Health, JobEvent, ModelInfo};
use fresco_web::{
    catalogue::{Remote, Shelf},
    fit::Fit,
    form::{Field, Form},
    inputs::Inputs,
    protocol::Compute,
    state::{Context, Place, Studio},
    words,
};
use leptos::{prelude::*, task::spawn_local};
use std::rc::Rc;
use web_sys::{ScrollIntoViewOptions, ScrollLogicalPosition, UrlSearchParams};

/// Everything a view may read or do; a copy is the same desk.
#[derive(Clone, Copy)]
pub struct Desk {
    /// The form as it is typed.
    pub form: RwSignal<Form>,
    /// What the next picture starts from besides words.
    pub inputs: RwSignal<Inputs>,
    /// Jobs and pictures.
    pub studio: RwSignal<Studio>,
    /// Where the next job runs.
    pub place: RwSignal<Place>,
    /// How the tab's engine is.
    pub tab: RwSignal<TabState>,
    /// The daemon behind the page, if there is one.
    pub daemon: RwSignal<Option<Health>>,
    /// The model that makes the next picture, once the embedded one's catalogue entry is read.
    pub model: RwSignal<Option<ModelInfo>>,
    /// The model that is part of the page.
    pub embedded: RwSignal<Option<ModelInfo>>,
    /// What this browser holds.
    pub shelf: RwSignal<Shelf>,
    /// What the daemon holds, where there is one.
    pub remote: RwSignal<Option<Remote>>,
    /// What cannot be done with models, in a sentence.
    pub trouble: RwSignal<Option<String>>,
    engines: StoredValue<Engines, LocalStorage>,
    store: StoredValue<Option<Store>, LocalStorage>,
}

impl Desk {
    /// A desk with its engines; it asks the server for the model and the daemon.
    pub fn open() -> Self {
        let tab = RwSignal::new(TabState::Off);
        let engines = Engines {
            tab: TabEngine::new(compute_from_address(), move |state| tab.set(state)),
            daemon: DaemonEngine::default(),
        };
        let desk = Self {
            form: RwSignal::default(),
            inputs: RwSignal::default(),
            studio: RwSignal::default(),
            place: RwSignal::default(),
            tab,
            daemon: RwSignal::new(None),
            model: RwSignal::new(None),
            embedded: RwSignal::new(None),
            shelf: RwSignal::default(),
            remote: RwSignal::new(None),
            trouble: RwSignal::new(None),
            engines: StoredValue::new_local(engines),
            store: StoredValue::new_local(None),
        };
        desk.store.set_value(Some(Store::start(move |report| desk.hear_store(report))));
        spawn_local(desk.read_model());
        spawn_local(async move {
            desk.find_daemon().await;
            desk.list_remote().await;
        });
        desk.engines.with_value(|engines| engines.tab.start());
        desk
    }

    /// Whether a job runs.
    pub fn running(&self) -> bool {
        self.studio.with(|studio| studio.run.is_some())
    }

    /// Starts the job that the form describes, or says what is wrong with it.
    pub fn generate(self) {
        let Some(model) = self.model.get_untracked() else { return };
        if self.studio.with_untracked(|studio| studio.run.is_some()) {
            return;
        }
        let inputs = self.inputs.get_untracked();
        let asked = self.form.with_untracked(|form| form.image(&model));
        let place = self.place.get_untracked();
        if let (Place::Tab, Fit::TooLarge(words)) = (place, untrack(|| self.tab_fit(&model))) {
            let error = ApiError::new(ErrorCode::Device, format!("{} does not fit: {words}", model.name));
            return self.studio.update(|studio| studio.refuse(error));
        }
        let request = match asked.and_then(|image| inputs.request(image, &model)) {
            Ok(request) => request,
            Err(error) => return self.studio.update(|studio| studio.refuse(error)),
        };
        self.studio.update(|studio| studio.begin(place));
        let listener: Listener = Rc::new(move |event| self.hear(place, event));
        self.engines.with_value(|engines| engines.generate(place, request, listener));
    }

    /// Stops the running job.
    pub fn cancel(self) {
        let place = self.studio.with_untracked(|studio| studio.run.as_ref().map(|run| run.place));
        if let Some(place) = place {
            self.studio.update(Studio::stop);
            self.engines.with_value(|engines| engines.cancel(place));
        }
    }

    /// Starts the job again on the processor, and stays there.
    pub fn retry_on_cpu(self) {
        self.engines.with_value(|engines| engines.tab.switch(Compute::Cpu));
        self.place.set(Place::Tab);
        self.generate();
    }

    /// Draws a seed into its field.
    pub fn draw_seed(self) {
        if let Ok(seed) = getrandom::u32() {
            self.form.update(|form| form.set(Field::Seed, seed.to_string()));
        }
    }

    /// Puts the shown picture's settings back into the form.
    pub fn reuse(self) {
        let form = self.studio.with_untracked(|studio| studio.picture().map(|picture| Form::again(&picture.params)));
        if let Some(form) = form {
            self.form.set(form);
        }
    }

    fn hear(self, place: Place, event: JobEvent) {
        if place == Place::Daemon && matches!(event, JobEvent::Done { .. }) {
            // It may have chosen its device only now, and the picture is to say which.
            return spawn_local(async move {
                self.find_daemon().await;
                self.apply(place, event);
            });
        }
        self.apply(place, event);
    }

    fn apply(self, place: Place, event: JobEvent) {
        let done = matches!(event, JobEvent::Done { .. });
        let context = self.context(place);
        self.studio.update(|studio| studio.apply(event, context));
        if done {
            reveal_picture();
        }
    }

    fn context(self, place: Place) -> Context {
        let tab_gpu = place == Place::Tab && self.engines.with_value(|engines| engines.tab.on_gpu());
        Context { device: self.device(place).unwrap_or_default(), tab_gpu }
    }

    /// What runs jobs at a place, in words, once it is known.
    pub fn device(self, place: Place) -> Option<String> {
        match place {
            Place::Daemon => self.daemon.with(|daemon| daemon.as_ref().map(words::daemon_device)),
            Place::Tab => self.tab.with(|tab| match tab {
                TabState::Ready(device) => Some(words::tab_device(device)),
                _ => None,
            }),
        }
    }

    async fn read_model(self) {
        match net::model().await {
            Ok(model) => {
                self.form.update(|form| form.fill(&model));
                self.embedded.set(Some(model.clone()));
                self.model.set(Some(model));
            }
            Err(error) => self.studio.update(|studio| studio.refuse(error)),
        }
    }

    async fn find_daemon(self) {
        if let Some(health) = net::daemon().await {
            self.daemon.set(Some(health));
        }
    }
}

/// On a phone the picture lies below the form: brings it into sight.
fn reveal_picture() {
    let options = ScrollIntoViewOptions::new();
    options.set_block(ScrollLogicalPosition::Nearest);
    request_animation_frame(move || {
        if let Some(picture) = document().get_element_by_id("picture") {
            picture.scroll_into_view_with_scroll_into_view_options(&options);
        }
    });
}

/// `?engine=cpu` in the page's address chooses how the tab computes.
fn compute_from_address() -> Compute {
    let query = window().location().search().unwrap_or_default();
    let asked = UrlSearchParams::new_with_str(&query).ok().and_then(|query| query.get("engine"));
    asked.and_then(|name| Compute::by_name(&name)).unwrap_or_default()
}

//! Serves the page's wishes: one fetch or copy at a time of each model, each told as it goes.

use super::{copy::import, fetch::Tell, net::scope, plan, shelf};
use fresco_api::{ApiError, ErrorCode, ModelId, Pull, PullStatus};
use fresco_web::{
    opfs,
    protocol::{
        decode, encode,
        shelf::{Origin, StoreCommand, StoreReport},
    },
    wait::wait,
};
use js_sys::Reflect;
use std::{cell::RefCell, collections::HashMap, rc::Rc};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, File, MessageEvent};

/// The least time between two words about one fetch.
const QUIET_MS: f64 = 120.0;

/// Everything the store holds.
#[derive(Default)]
pub struct Host {
    /// What is under way, with the way to stop it.
    under_way: RefCell<HashMap<ModelId, AbortController>>,
}

impl Host {
    /// Starts to serve, and tells the page.
    pub fn listen() {
        let host = Rc::new(Host::default());
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            let data = event.data();
            let get = |name: &str| Reflect::get(&data, &name.into()).unwrap_or(JsValue::UNDEFINED);
            let (text, files) = match data.as_string() {
                Some(text) => (Some(text), Vec::new()),
                None => (get("text").as_string(), opfs::files(&get("files"))),
            };
            if let Some(command) = text.and_then(|text| decode(&text)) {
                spawn_local(host.clone().handle(command, files));
            }
        });
        scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        on_message.forget();
        report(&StoreReport::Up);
    }

    async fn handle(self: Rc<Self>, command: StoreCommand, files: Vec<File>) {
        let clear = command == StoreCommand::List;
        match command {
            StoreCommand::List => {}
            StoreCommand::Get { info, licence, from } => {
                let id = info.id.clone();
                self.follow(&id, async |stop, teller| get(*info, licence, from, stop, teller).await).await;
            }
            StoreCommand::Stop { id } => {
                if let Some(stop) = self.under_way.borrow().get(&id) {
                    stop.abort();
                }
                return;
            }
            StoreCommand::Remove { id } => self.remove(&id).await,
            StoreCommand::Import { name, paths } => {
                let (id, files) = (ModelId(name.clone()), paths.into_iter().zip(files).collect());
                self.follow(&id, async |_, teller| import(&name, files, teller).await.map(|_| ())).await;
            }
        }
        match shelf::list(clear).await {
            Ok(shelf) => report(&shelf),
            Err(reason) => report(&StoreReport::Fatal { reason }),
        }
    }

    /// Does what takes long, and tells how it goes and ends.
    async fn follow(&self, id: &ModelId, work: impl AsyncFnOnce(&AbortController, &mut Teller) -> Result<(), String>) {
        let Ok(stop) = AbortController::new() else { return };
        if self.under_way.borrow().contains_key(id) {
            return;
        }
        self.under_way.borrow_mut().insert(id.clone(), stop.clone());
        let first = Pull { id: id.clone(), status: PullStatus::Running, ..Pull::default() };
        let mut teller = Teller { pull: first, stop: stop.clone(), last: 0.0 };
        teller.say();
        let ended = work(&stop, &mut teller).await;
        self.under_way.borrow_mut().remove(id);
        (teller.pull.status, teller.pull.error) = match ended {
            Ok(()) => (PullStatus::Done, None),
            Err(_) if stop.signal().aborted() => (PullStatus::Cancelled, None),
            Err(reason) => (PullStatus::Failed, Some(ApiError::new(ErrorCode::Internal, reason))),
        };
        teller.say();
    }

    async fn remove(&self, id: &ModelId) {
        let stop = self.under_way.borrow().get(id).cloned();
        if let Some(stop) = stop {
            stop.abort();
            // It lets go of its file at its next step.
            while self.under_way.borrow().contains_key(id) {
                wait(20).await;
            }
        }
        let removed = async { shelf::open().await?.remove(&fresco_web::shelf::encoded(&id.0)).await };
        if let Err(reason) = removed.await {
            let error = Some(ApiError::new(ErrorCode::Conflict, format!("{id} cannot be removed: {reason}")));
            report(&StoreReport::Progress {
                pull: Pull { id: id.clone(), status: PullStatus::Failed, error, ..Pull::default() },
            });
        }
    }
}

async fn get(
    info: fresco_api::ModelInfo,
    licence: String,
    from: Origin,
    stop: &AbortController,
    teller: &mut Teller,
) -> Result<(), String> {
    let id = info.id.clone();
    let signal = stop.signal();
    let (folder, plan) = shelf::begin(&id, async || plan::make(info, licence, &from, &signal).await).await?;
    teller.pull.total = plan.bytes();
    shelf::complete(&folder, &plan, &signal, teller).await
}

/// Tells the page how far one model is, not too often.
struct Teller {
    pull: Pull,
    stop: AbortController,
    last: f64,
}

impl Teller {
    fn say(&mut self) {
        self.last = js_sys::Date::now();
        report(&StoreReport::Progress { pull: self.pull.clone() });
    }
}

impl Tell for Teller {
    async fn at(&mut self, bytes: u64) -> bool {
        self.pull.received = bytes;
        if js_sys::Date::now() - self.last >= QUIET_MS {
            self.say();
            // The wish to stop is a message, and waits for its turn.
            wait(0).await;
        }
        !self.stop.signal().aborted()
    }
}

fn report(report: &StoreReport) {
    // Text can always be cloned, so posting it does not fail.
    let _ = scope().post_message(&JsValue::from_str(&encode(report)));
}

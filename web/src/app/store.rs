//! The page's line to the store: wishes go out, reports come in.

use fresco_web::protocol::{
    decode, encode,
    shelf::{StoreCommand, StoreReport},
};
use js_sys::{Array, Object, Reflect};
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{Event, File, MessageEvent, Worker, WorkerOptions, WorkerType};

/// The script that loads the store's program; it lies beside the page.
const SCRIPT: &str = "./store-boot.js";

/// A handle to the store; clones are the same store.
#[derive(Clone)]
pub struct Store(Option<Rc<Live>>);

struct Live {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(Event)>,
}

impl Store {
    /// Starts the store; `hear` gets its reports. A browser without module workers has none.
    pub fn start(hear: impl Fn(StoreReport) + Clone + 'static) -> Self {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let Ok(worker) = Worker::new_with_options(SCRIPT, &options) else { return Self(None) };
        let heard = hear.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(report) = event.data().as_string().and_then(|text| decode(&text)) {
                heard(report);
            }
        });
        let on_error = Closure::<dyn FnMut(Event)>::new(move |_: Event| {
            hear(StoreReport::Fatal { reason: "Models cannot be kept in this browser".to_owned() });
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Self(Some(Rc::new(Live { worker, _on_message: on_message, _on_error: on_error })))
    }

    /// Asks for something.
    pub fn ask(&self, command: &StoreCommand) {
        self.post(&JsValue::from_str(&encode(command)));
    }

    /// Hands over files of the user's own, each with its path.
    pub fn import(&self, name: &str, files: Vec<(String, File)>) {
        let (paths, files): (Vec<String>, Vec<File>) = files.into_iter().unzip();
        let command = StoreCommand::Import { name: name.to_owned(), paths };
        let message = Object::new();
        let list: Array = files.iter().map(JsValue::from).collect();
        // A fresh object takes every property.
        let _ = Reflect::set(&message, &"text".into(), &JsValue::from_str(&encode(&command)));
        let _ = Reflect::set(&message, &"files".into(), &list);
        self.post(&message);
    }

    fn post(&self, message: &JsValue) {
        if let Some(live) = &self.0 {
            // Text and files can always be cloned, so posting them does not fail.
            let _ = live.worker.post_message(message);
        }
    }
}

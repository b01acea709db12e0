//! The tab's engine: starts the worker, sends it jobs, and survives its death.

use super::Listener;
use fresco_api::{AnyRequest, ErrorCode, JobEvent};
use fresco_web::{
    protocol::{Command, Compute, DeviceInfo, Report, decode, encode},
    words,
};
use std::{cell::RefCell, rc::Rc};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{ErrorEvent, Event, MessageEvent, Worker, WorkerOptions, WorkerType};

/// The script that loads the worker's program; it lies beside the page.
const SCRIPT: &str = "./worker-boot.js";

/// How the worker is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TabState {
    /// Not started.
    #[default]
    Off,
    /// Loading its program and trying the device.
    Starting,
    /// It computes.
    Ready(DeviceInfo),
    /// It broke; the next job starts another.
    Broken,
}

/// A job the worker has, or will have once it is ready.
struct Running {
    job: u64,
    request: Option<Box<AnyRequest>>,
    listener: Listener,
}

/// The running worker and its callbacks, which live as long as it does.
struct Live {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(Event)>,
}

struct Inner {
    compute: Compute,
    live: Option<Live>,
    state: TabState,
    running: Option<Running>,
    jobs: u64,
    fell_back: Option<String>,
    on_state: Box<dyn Fn(TabState)>,
}

/// A handle to the tab's engine; clones are the same engine.
#[derive(Clone)]
pub struct TabEngine(Rc<RefCell<Inner>>);

impl TabEngine {
    /// An engine that is not started yet; `on_state` hears how it is.
    pub fn new(compute: Compute, on_state: impl Fn(TabState) + 'static) -> Self {
        let (live, state, running, fell_back) = Default::default();
        let on_state = Box::new(on_state);
        Self(Rc::new(RefCell::new(Inner { compute, live, state, running, jobs: 0, fell_back, on_state })))
    }

    /// Whether jobs run on the GPU, or would if it turns out to be fit.
    pub fn on_gpu(&self) -> bool {
        let inner = self.0.borrow();
        match &inner.state {
            TabState::Ready(device) => device.gpu,
            _ => inner.compute != Compute::Cpu,
        }
    }

    /// Starts the worker if none lives, so that it is ready when the first job comes.
    pub fn start(&self) {
        if self.0.borrow().live.is_some() {
            return;
        }
        self.enter(TabState::Starting);
        match self.spawn() {
            Ok(live) => self.0.borrow_mut().live = Some(live),
            Err(_) => self.break_down("This browser cannot start module workers"),
        }
    }

    /// Ends the worker and computes differently from now on.
    pub fn switch(&self, compute: Compute) {
        self.end();
        self.0.borrow_mut().compute = compute;
        self.start();
    }

    /// Starts a job. The worker starts too if it has to.
    pub fn generate(&self, request: AnyRequest, listener: Listener) {
        {
            let mut inner = self.0.borrow_mut();
            inner.jobs += 1;
            inner.running = Some(Running { job: inner.jobs, request: Some(Box::new(request)), listener });
        }
        self.start();
        self.send_waiting();
    }

    /// Asks for an end; a job that still waits for the worker ends at once.
    pub fn cancel(&self) {
        let mut inner = self.0.borrow_mut();
        let Some(running) = inner.running.take_if(|running| running.request.is_some()) else {
            if let Some(Running { job, .. }) = inner.running {
                inner.post(&Command::Cancel { job });
            }
            return;
        };
        drop(inner);
        (running.listener)(JobEvent::Cancelled);
    }

    fn spawn(&self) -> Result<Live, JsValue> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(SCRIPT, &options)?;
        let engine = self.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(report) = event.data().as_string().and_then(|text| decode(&text)) {
                engine.hear(report);
            }
        });
        let engine = self.clone();
        let on_error = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            let reason = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message);
            engine.break_down(&reason.unwrap_or_else(|| "its program could not be loaded".to_owned()));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Live { worker, _on_message: on_message, _on_error: on_error })
    }

    fn hear(&self, report: Report) {
        match report {
            Report::Up => {
                let inner = self.0.borrow();
                inner.post(&Command::Start { compute: inner.compute });
            }
            Report::Ready { mut device } => {
                device.note = device.note.or_else(|| self.0.borrow().fell_back.clone());
                self.enter(TabState::Ready(device));
                self.send_waiting();
            }
            Report::Job { job, event } => self.pass_on(job, event),
            Report::Fatal { reason } => self.break_down(&reason),
        }
    }

    /// Sends the waiting request once the worker can take it.
    fn send_waiting(&self) {
        let mut inner = self.0.borrow_mut();
        if !matches!(inner.state, TabState::Ready(_)) {
            return;
        }
        let waiting = inner.running.as_mut().and_then(|running| Some((running.job, running.request.take()?)));
        if let Some((job, request)) = waiting {
            inner.post(&Command::Generate { job, request });
        }
    }

    fn pass_on(&self, job: u64, event: JobEvent) {
        if let JobEvent::Failed { error } = &event
            && error.code == ErrorCode::Device
        {
            // A device that failed once stays lost: the next job gets a new one, with a new worker.
            return self.break_down(&error.message);
        }
        let mut inner = self.0.borrow_mut();
        let Some(running) = inner.running.as_ref().filter(|running| running.job == job) else { return };
        let listener = running.listener.clone();
        if event.is_final() {
            inner.running = None;
        }
        drop(inner);
        listener(event);
    }

    /// The worker is of no more use: its job fails, and the next job starts another worker.
    fn break_down(&self, reason: &str) {
        let gpu = self.on_gpu();
        self.end();
        if self.fall_back() {
            return self.start();
        }
        let running = self.0.borrow_mut().running.take();
        if let Some(running) = running {
            (running.listener)(JobEvent::Failed { error: words::broken_engine(reason, gpu) });
        }
        self.enter(TabState::Broken);
    }

    /// A GPU that breaks the worker while it is tried is refused: the processor takes over, with the job
    /// that waits. `false` when it was not being tried, or was demanded.
    fn fall_back(&self) -> bool {
        let mut inner = self.0.borrow_mut();
        let refused = inner.state == TabState::Starting && inner.compute == Compute::Auto;
        if refused {
            inner.compute = Compute::Cpu;
            inner.fell_back = Some("The browser's GPU failed its test.".to_owned());
        }
        refused
    }

    fn end(&self) {
        if let Some(live) = self.0.borrow_mut().live.take() {
            live.worker.set_onmessage(None);
            live.worker.set_onerror(None);
            live.worker.terminate();
            // This may run inside one of the callbacks that go with it: let that return first.
            wasm_bindgen_futures::spawn_local(async move { drop(live) });
        }
    }

    fn enter(&self, state: TabState) {
        self.0.borrow_mut().state = state.clone();
        (self.0.borrow().on_state)(state);
    }
}

impl Inner {
    fn post(&self, command: &Command) {
        if let Some(live) = &self.live {
            // Text can always be cloned, so posting it does not fail.
            let _ = live.worker.post_message(&JsValue::from_str(&encode(command)));
        }
    }
}

//! The worker's end of the line to the page.

use fresco_web::protocol::{Command, Report, decode, encode};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

/// Sends a report to the page.
pub fn report(report: &Report) {
    // Text can always be cloned, so posting it does not fail.
    let _ = scope().post_message(&JsValue::from_str(&encode(report)));
}

/// Hands each of the page's commands to `handle`, for as long as the worker lives.
pub fn listen(handle: impl Fn(Command) + 'static) {
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        if let Some(command) = event.data().as_string().and_then(|text| decode(&text)) {
            handle(command);
        }
    });
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
}

/// Makes a panic the worker's last report. The tensor library panics when the GPU refuses a command,
/// and nothing runs after a panic in WebAssembly, so this is the only way the page hears of it.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| report(&Report::Fatal { reason: words(panic.payload()) })));
}

/// The worker's global object.
pub fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn words(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

//! The page's components, a file each, and how they are laid out.

mod actions;
mod brush;
mod header;
mod models;
mod place;
mod prompt;
mod settings;
mod slot;
mod source;
mod stage;
mod start;
mod strip;

use crate::desk::Desk;
use leptos::{ev, prelude::*};

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let desk = Desk::open();
    provide_context(desk);
    let keys = window_event_listener(ev::keydown, move |event| press(desk, &event));
    on_cleanup(move || keys.remove());
    view! {
        <header::Header/>
        <main>
            <form class="panel" novalidate=true on:submit=move |event| { event.prevent_default(); desk.generate() }>
                <prompt::Prompt/>
                <start::StartChoice/>
                <settings::Settings/>
                <place::PlaceChoice/>
                <models::ModelChoice/>
                <actions::Actions/>
            </form>
            <section class="work" aria-label="Pictures">
                <stage::Stage/>
                <strip::Strip/>
            </section>
        </main>
        <models::ModelList/>
    }
}

/// The page's keys: Ctrl or Cmd with Enter generates, Escape cancels.
fn press(desk: Desk, event: &ev::KeyboardEvent) {
    match event.key().as_str() {
        "Enter" if event.ctrl_key() || event.meta_key() => {
            event.prevent_default();
            desk.generate();
        }
        "Escape" => desk.cancel(),
        _ => {}
    }
}

/// The page's desk.
fn desk() -> Desk {
    expect_context()
}

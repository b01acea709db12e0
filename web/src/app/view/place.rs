//! Where the next picture is made: in this tab or by the daemon, and on what.

use super::desk;
use crate::engine::TabState;
use fresco_web::state::Place;
use leptos::prelude::*;

/// The choice of the place. The daemon is offered only when there is one.
#[component]
pub fn PlaceChoice() -> impl IntoView {
    let desk = desk();
    let choice = move |place: Place, id: &'static str, label: &'static str| {
        view! {
            <label class="choice">
                <input type="radio" name="place" id=id data-testid=id prop:checked=move || desk.place.get() == place
                    on:change=move |_| desk.go(place)/>
                <span>{label}</span>
            </label>
        }
    };
    let device = move || {
        let place = desk.place.get();
        desk.device(place).unwrap_or_else(|| match desk.tab.get() {
            TabState::Broken if place == Place::Tab => {
                "The engine in this tab stopped. The next picture starts it again.".into()
            }
            _ => "Getting the engine ready".to_owned(),
        })
    };
    view! {
        <fieldset class="place">
            <legend>"Make it on"</legend>
            <div class="choices">
                {choice(Place::Tab, "engine-tab", "This tab")}
                <Show when=move || desk.daemon.with(Option::is_some)>
                    {choice(Place::Daemon, "engine-daemon", "This machine")}
                </Show>
            </div>
            <p id="device" data-testid="device" class="device">{device}</p>
        </fieldset>
    }
}

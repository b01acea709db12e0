//! One model at one place: whether it is there, how far it is, and the button that changes that.

use super::desk;
use fresco_web::{
    catalogue::{Presence, Row},
    fit::Fit,
    state::Place,
    words,
};
use leptos::{ev, prelude::*};

/// What a place offers for a model; changes seldom, so that a button keeps the focus while bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Nothing,
    Get,
    GoOn,
    Stop,
    Remove,
}

impl Offer {
    /// The name of its button.
    fn name(self) -> &'static str {
        match self {
            Offer::Nothing => "",
            Offer::Get => "get",
            Offer::GoOn => "go-on",
            Offer::Stop => "stop",
            Offer::Remove => "remove",
        }
    }
}

/// The line of one place.
#[component]
pub fn Slot(place: Place, row: Memo<Option<Row>>) -> impl IntoView {
    let presence = Memo::new(move |_| row.with(|row| row.as_ref().map(|row| of(row, place).clone())));
    let offer = Memo::new(move |_| presence.with(|presence| presence.as_ref().map_or(Offer::Nothing, offered)));
    let shown =
        move || presence.with(|presence| presence.as_ref().is_some_and(|presence| *presence != Presence::Never));
    let share = move || presence.with(|presence| presence.as_ref().and_then(share));
    let label = if place == Place::Tab { "In this browser" } else { "On this machine" };
    view! {
        <Show when=shown>
            <div class="slot">
                <p>
                    <b>{label}</b>" "
                    <span data-testid=format!("state-{}", place.name())>{move || presence.with(state)}</span>
                </p>
                <Show when={move || offer.get() == Offer::Stop}>
                    <progress max="1" value=share aria-label="Fetching"></progress>
                </Show>
                <div class="row">
                    {move || view! { <Buttons place row offer=offer.get()/> }}
                </div>
            </div>
        </Show>
    }
}

#[component]
fn Buttons(place: Place, row: Memo<Option<Row>>, offer: Offer) -> impl IntoView {
    let desk = desk();
    let Some(row) = row.get_untracked() else { return ().into_any() };
    let (info, licence) = (row.info, row.licence);
    let too_large = place == Place::Tab && matches!(desk.tab_fit(&info), Fit::TooLarge(_));
    let whither = if place == Place::Tab { "this browser" } else { "this machine" };
    let button = move |verb: &'static str, action: Offer| {
        let id = format!("{}-{}", action.name(), place.name());
        let label = format!("{verb}: {}, {whither}", info.name);
        let (info, licence) = (info.clone(), licence.clone());
        let act = move |_: ev::MouseEvent| match (action, place) {
            (Offer::Get | Offer::GoOn, Place::Tab) => desk.get_in_tab(info.clone(), licence.clone()),
            (Offer::Stop, Place::Tab) => desk.stop_in_tab(info.id.clone()),
            (Offer::Remove, Place::Tab) => desk.remove_from_tab(info.id.clone()),
            (Offer::Get | Offer::GoOn, Place::Daemon) => desk.get_at_daemon(info.id.clone()),
            (Offer::Stop, Place::Daemon) => desk.stop_at_daemon(info.id.clone()),
            (Offer::Remove, Place::Daemon) => desk.remove_from_daemon(info.id.clone()),
            (Offer::Nothing, _) => {}
        };
        view! { <button type="button" class="chip" data-testid=id aria-label=label on:click=act>{verb}</button> }
    };
    match offer {
        Offer::Nothing => ().into_any(),
        Offer::Get if too_large => button("Get anyway", Offer::Get).into_any(),
        Offer::Get => button("Get", Offer::Get).into_any(),
        Offer::GoOn => view! { {button("Go on", Offer::GoOn)} {button("Remove", Offer::Remove)} }.into_any(),
        Offer::Stop => button("Stop", Offer::Stop).into_any(),
        Offer::Remove => button("Remove", Offer::Remove).into_any(),
    }
}

fn of(row: &Row, place: Place) -> &Presence {
    if place == Place::Tab { &row.tab } else { &row.daemon }
}

fn offered(presence: &Presence) -> Offer {
    match presence {
        Presence::BuiltIn | Presence::Never => Offer::Nothing,
        Presence::Here => Offer::Remove,
        Presence::Partly(..) => Offer::GoOn,
        Presence::Coming(_) => Offer::Stop,
        Presence::Absent => Offer::Get,
    }
}

fn share(presence: &Presence) -> Option<f64> {
    match presence {
        Presence::Coming(pull) if pull.total > 0 => Some(pull.received as f64 / pull.total as f64),
        _ => None,
    }
}

fn state(presence: &Option<Presence>) -> String {
    let of = |received: u64, total: u64| format!("{} of {}", words::gigabytes(received), words::gigabytes(total));
    match presence {
        Some(Presence::BuiltIn) => "part of the program".to_owned(),
        Some(Presence::Here) => "ready".to_owned(),
        Some(Presence::Partly(received, total)) => format!("{}, stopped", of(*received, *total)),
        Some(Presence::Coming(pull)) if pull.total == 0 => "asking what there is".to_owned(),
        Some(Presence::Coming(pull)) => of(pull.received, pull.total),
        Some(Presence::Absent) => "not there".to_owned(),
        Some(Presence::Never) | None => String::new(),
    }
}

//! Models: which one makes the next picture, which there are, and getting and removing them.

use super::{desk, slot::Slot};
use crate::desk::Desk;
use fresco_api::ModelId;
use fresco_web::{
    catalogue::{Presence, Row},
    state::Place,
    words,
};
use js_sys::Reflect;
use leptos::prelude::*;
use web_sys::{File, FileList};

/// The model of the next picture, and whether it fits.
#[component]
pub fn ModelChoice() -> impl IntoView {
    let desk = desk();
    let chosen = move || desk.model.with(|model| model.as_ref().map(|model| model.id.0.clone()).unwrap_or_default());
    let options =
        Memo::new(move |_| desk.usable().into_iter().map(|model| (model.id.0, model.name)).collect::<Vec<_>>());
    let fit = move || {
        let model = desk.model.get().filter(|_| desk.place.get() == Place::Tab)?;
        Some(desk.tab_fit(&model).words().to_owned())
    };
    view! {
        <div class="field">
            <label for="model">"Model"</label>
            <select id="model" data-testid="model-choice"
                on:change:target=move |event| desk.choose_model(&event.target().value().as_str().into())>
                {move || options.get().into_iter().map(|(id, name)| {
                    let value = id.clone();
                    view! { <option value=value selected=move || chosen() == id>{name}</option> }
                }).collect_view()}
            </select>
            <p class="device" data-testid="fit">{fit}</p>
        </div>
    }
}

/// Every model there is, to get and to remove.
#[component]
pub fn ModelList() -> impl IntoView {
    let desk = desk();
    let rows = Memo::new(move |_| desk.rows());
    let ids = move || rows.with(|rows| rows.iter().map(|row| row.info.id.clone()).collect::<Vec<_>>());
    let free = move || {
        desk.shelf
            .with(|shelf| shelf.free)
            .map(|free| format!("This browser gives the page {} more.", words::gigabytes(free)))
    };
    view! {
        <details class="models panel" data-testid="models">
            <summary>"Get or remove models"</summary>
            <p class="device">{free}</p>
            <p class="device" role="status" data-testid="models-trouble">{move || desk.trouble.get()}</p>
            <ul class="model-list" on:dragover=move |event| event.prevent_default() on:drop=move |event| {
                event.prevent_default();
                if let Some(files) = event.data_transfer().and_then(|brought| brought.files()) {
                    desk.import(with_paths(&files));
                }
            }>
                <For each=ids key=|id| id.0.clone() children=move |id| view! { <Entry id rows/> }/>
            </ul>
            <Own/>
        </details>
    }
}

/// One model: what it is, and a line for each place.
#[component]
fn Entry(id: ModelId, rows: Memo<Vec<Row>>) -> impl IntoView {
    let desk = desk();
    let row = Memo::new(move |_| rows.with(|rows| rows.iter().find(|row| row.info.id == id).cloned()));
    let told = move |tell: fn(&Row) -> String| row.with(|row| row.as_ref().map(tell));
    // What never runs in a tab need not fit there.
    let fit = move || {
        let row = row.get().filter(|row| row.tab != Presence::Never)?;
        Some(format!("In this browser: {}", desk.tab_fit(&row.info).words()))
    };
    let testid = row.with_untracked(|row| row.as_ref().map(|row| format!("model-{}", row.info.id)));
    view! {
        <li class="model-entry" data-testid=testid>
            <h3>{move || told(|row| row.info.name.clone())}</h3>
            <p class="device">{move || told(|row| row.info.description.clone())}</p>
            <p class="device">{move || told(terms)}</p>
            <p class="device">{fit}</p>
            <Slot place=Place::Tab row/>
            <Slot place=Place::Daemon row/>
            <p class="trouble" role="alert">{move || row.with(|row| row.as_ref()?.trouble.clone())}</p>
        </li>
    }
}

fn terms(row: &Row) -> String {
    let licence = if row.licence.is_empty() { "Your own".to_owned() } else { format!("Licence: {}", row.licence) };
    let gated = if row.gated { ". Its terms have to be accepted at the hub first" } else { "" };
    format!("About {}. {licence}{gated}.", words::gigabytes(row.bytes))
}

/// Files of the user's own.
#[component]
fn Own() -> impl IntoView {
    let desk = desk();
    view! {
        <div class="grid own">
            <div class="field">
                <label for="own-file">"Your own .safetensors file"</label>
                <input id="own-file" data-testid="own-file" type="file" accept=".safetensors"
                    on:change:target=move |event| take(desk, event.target().files())/>
            </div>
            <div class="field">
                <label for="own-folder">"Your own model's folder"</label>
                <input id="own-folder" data-testid="own-folder" type="file" multiple=true prop:webkitdirectory=true
                    on:change:target=move |event| take(desk, event.target().files())/>
            </div>
        </div>
    }
}

fn take(desk: Desk, files: Option<FileList>) {
    if let Some(files) = files {
        desk.import(with_paths(&files));
    }
}

/// Files with their paths in the folder that was chosen, or their names.
fn with_paths(files: &FileList) -> Vec<(String, File)> {
    let each = (0..files.length()).filter_map(|index| files.get(index));
    each.map(|file| {
        let path = Reflect::get(&file, &"webkitRelativePath".into()).ok().and_then(|path| path.as_string());
        (path.filter(|path| !path.is_empty()).unwrap_or_else(|| file.name()), file)
    })
    .collect()
}

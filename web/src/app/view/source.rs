//! A picture that comes in: chosen or dropped, shown, and painted on where a part of it is to be made anew.

use super::{brush::Brush, desk};
use crate::desk::{Desk, Which};
use fresco_web::inputs::Start;
use leptos::{ev, prelude::*};

/// A place for one picture.
#[component]
pub fn Source(which: Which, label: &'static str) -> impl IntoView {
    let desk = desk();
    let url = Memo::new(move |_| desk.input(which).map(|input| input.url));
    let painted = move || which == Which::Picture && desk.inputs.with(|inputs| inputs.start == Start::Repaint);
    view! {
        <div class="field source" on:dragover=move |event| event.prevent_default()
            on:drop=move |event| dropped(desk, which, &event)>
            <label for=which.id()>{label}</label>
            <input id=which.id() data-testid=which.id() type="file" accept="image/png,image/jpeg,image/webp"
                on:change:target=move |event| {
                    if let Some(file) = event.target().files().and_then(|files| files.get(0)) {
                        desk.read_picture(which, file);
                    }
                }/>
            {move || match url.get() {
                None => view! { <p class="drop">"Choose a file, or drop it here."</p> }.into_any(),
                Some(url) => view! {
                    <div class="canvas">
                        <img class="given" src=url alt=move || desk.input(which).map(|input| input.name)
                            data-testid=format!("{}-shown", which.id())
                            on:load:target=move |event| {
                                let image = event.target();
                                desk.measured(which, image.natural_width(), image.natural_height());
                            }
                            on:error=move |_| desk.no_picture(which)/>
                        <Show when=painted><Brush/></Show>
                    </div>
                }.into_any(),
            }}
        </div>
    }
}

fn dropped(desk: Desk, which: Which, event: &ev::DragEvent) {
    event.prevent_default();
    let file = event.data_transfer().and_then(|brought| brought.files()).and_then(|files| files.get(0));
    if let Some(file) = file {
        desk.read_picture(which, file);
    }
}

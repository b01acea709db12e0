//! The frame with the picture, its facts and its download.

use super::desk;
use fresco_web::{state::Picture, words};
use leptos::prelude::*;

/// Pictures up to this side are enlarged in whole pixels; larger ones smoothly.
const SMALL_SIDE: u32 = 64;

/// The frame.
#[component]
pub fn Stage() -> impl IntoView {
    let desk = desk();
    let preview = Memo::new(move |_| desk.studio.with(|studio| studio.run.as_ref()?.preview.clone()));
    let shown = move || desk.studio.with(|studio| studio.picture().cloned());
    view! {
        <figure class="stage" aria-busy=move || desk.running().to_string()>
            <div class="frame" class:busy=move || desk.running()>
                {move || match (preview.get(), shown()) {
                    (Some(image), _) => view! {
                        <img class="preview" data-testid="preview" src=image alt="How it looks so far"/>
                    }.into_any(),
                    (None, Some(picture)) => view! { <Shown picture/> }.into_any(),
                    (None, None) => view! { <p class="empty">"Your picture will appear here."</p> }.into_any(),
                }}
            </div>
            {move || shown().map(|picture| view! { <Facts picture/> })}
        </figure>
    }
}

#[component]
fn Shown(picture: Picture) -> impl IntoView {
    let params = picture.params;
    view! {
        <img id="picture" data-testid="picture" src=picture.source alt=params.prompt
            class:pixels=params.width.max(params.height) <= SMALL_SIDE
            width=params.width height=params.height data-seed=params.seed.to_string() data-engine=picture.place.name()
            data-device=picture.device data-width=params.width.to_string() data-height=params.height.to_string()/>
    }
}

#[component]
fn Facts(picture: Picture) -> impl IntoView {
    let desk = desk();
    let name = picture.file_name();
    let params = picture.params;
    view! {
        <figcaption>
            <p class="said">{params.prompt}</p>
            <dl class="facts">
                <div><dt>"Seed"</dt><dd>{params.seed.to_string()}</dd></div>
                <div><dt>"Size"</dt><dd>{format!("{} × {}", params.width, params.height)}</dd></div>
                <div><dt>"Steps"</dt><dd>{params.steps}</dd></div>
                <div><dt>"Guidance"</dt><dd>{params.guidance_scale}</dd></div>
                <div><dt>"Time"</dt><dd>{words::duration(picture.time_taken)}</dd></div>
                <div class="made"><dt>"Made on"</dt><dd>{picture.device}</dd></div>
            </dl>
            <div class="row">
                <a id="download" data-testid="download" class="button" href=picture.source download=name>"Download PNG"</a>
                <button type="button" id="start-here" data-testid="start-here"
                    on:click=move |_| desk.start_from_shown()>"Start from it"</button>
                <button type="button" id="reuse" data-testid="reuse" on:click=move |_| desk.reuse()>"Use these settings"</button>
            </div>
        </figcaption>
    }
}

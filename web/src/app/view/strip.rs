//! This session's pictures in small, to see them again.

use super::desk;
use leptos::prelude::*;

/// The strip; it appears with the second picture.
#[component]
pub fn Strip() -> impl IntoView {
    let desk = desk();
    let sources = Memo::new(move |_| {
        desk.studio.with(|studio| {
            studio
                .pictures
                .iter()
                .map(|picture| (picture.source.clone(), picture.params.prompt.clone()))
                .collect::<Vec<_>>()
        })
    });
    let current = move |index: usize| if desk.studio.with(|studio| studio.shown == index) { "true" } else { "false" };
    let pictures = move || {
        let listed = sources.get().into_iter().enumerate();
        listed
            .map(|(index, (source, prompt))| {
                view! {
                    <li>
                        <button type="button" aria-current=move || current(index) title=prompt.clone()
                            on:click=move |_| desk.studio.update(|studio| studio.shown = index)>
                            <img src=source alt=prompt.clone() loading="lazy"/>
                        </button>
                    </li>
                }
            })
            .collect_view()
    };
    view! {
        <Show when=move || { sources.with(Vec::len) > 1 }>
            <ol class="strip" data-testid="strip" aria-label="Pictures of this session">{pictures}</ol>
        </Show>
    }
}

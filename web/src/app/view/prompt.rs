//! The words of a picture: prompt, negative prompt, and a few prompts to start from.

use super::desk;
use fresco_web::form::Field;
use leptos::prelude::*;

/// Prompts that the demo model can draw.
const SUGGESTIONS: [(&str, &str); 4] = [
    ("Sunset camp", "mountains at sunset, a red tent on the right, the sun on the left"),
    ("Night sail", "the sea at night, a white boat in the middle, a moon on the right"),
    ("Green hills", "green hills by day, a yellow house on the left, clouds"),
    ("First snow", "a snowy field at sunrise, a purple balloon on the right"),
];

/// Prompt and negative prompt.
#[component]
pub fn Prompt() -> impl IntoView {
    let desk = desk();
    let demo = move || desk.model.with(|model| model.as_ref().is_some_and(|model| model.demo));
    view! {
        <div class="field">
            <label for="prompt">"Prompt"</label>
            <Words field=Field::Prompt rows=3 hint="What should the picture show?"/>
            <Show when=demo>
                <ul class="chips" aria-label="Prompts to try">
                    {SUGGESTIONS.into_iter().map(|(name, words)| view! {
                        <li>
                            <button type="button" class="chip" title=words
                                on:click=move |_| desk.form.update(|form| form.set(Field::Prompt, words.to_owned()))>
                                {name}
                            </button>
                        </li>
                    }).collect_view()}
                </ul>
            </Show>
        </div>
        <div class="field">
            <label for="negative">"Negative prompt " <small>"optional"</small></label>
            <Words field=Field::Negative rows=1 hint="What should it not show?"/>
        </div>
    }
}

/// A box for words.
#[component]
fn Words(field: Field, rows: u32, hint: &'static str) -> impl IntoView {
    let desk = desk();
    view! {
        <textarea id=field.id() data-testid=field.id() rows=rows placeholder=hint spellcheck="true"
            aria-invalid=move || super::settings::refused(desk, field)
            prop:value=move || desk.form.with(|form| form.get(field).to_owned())
            on:input:target=move |event| desk.form.update(|form| form.set(field, event.target().value()))
        ></textarea>
    }
}

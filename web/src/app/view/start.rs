//! What the next picture starts from: words alone, or pictures with their strengths.

use super::{desk, source::Source};
use crate::desk::Which;
use fresco_web::inputs::{Inputs, Start};
use leptos::prelude::*;

/// The choice, and what it asks for.
#[component]
pub fn StartChoice() -> impl IntoView {
    let desk = desk();
    let start = Memo::new(move |_| desk.inputs.with(|inputs| inputs.start));
    let choice = move |choice: Start| {
        let id = format!("start-{}", choice.id());
        view! {
            <label class="choice">
                <input type="radio" name="start" id=id.clone() data-testid=id prop:checked=move || start.get() == choice
                    on:change=move |_| desk.start_from(choice)/>
                <span>{choice.label()}</span>
            </label>
        }
    };
    view! {
        <fieldset class="start">
            <legend>"Start from"</legend>
            <div class="choices">{Start::ALL.into_iter().map(choice).collect_view()}</div>
            <Show when={move || start.get() != Start::Words}>
                <Source which=Which::Picture label="Picture"/>
                <Show when={move || start.get() == Start::Style}>
                    <Source which=Which::Style label="Picture with the style"/>
                </Show>
                <div class="grid">
                    <Share id="strength" label=strength_label field=Signal::derive(move || start.get().strength().0)
                        usual=Signal::derive(move || start.get().strength().1)
                        get={|inputs| &inputs.strength} set={|inputs, text| inputs.strength = text}/>
                    <Show when={move || start.get() == Start::Style}>
                        <Share id="content" label={|_| "Content kept"} field=Signal::derive(|| "contentStrength")
                            usual=Signal::derive(|| "0.5")
                            get={|inputs| &inputs.content} set={|inputs, text| inputs.content = text}/>
                    </Show>
                </div>
            </Show>
        </fieldset>
    }
}

fn strength_label(start: Start) -> &'static str {
    match start {
        Start::Style => "Style taken over",
        _ => "Strength: how much changes",
    }
}

/// A number from 0 to 1.
#[component]
fn Share(
    id: &'static str,
    label: fn(Start) -> &'static str,
    field: Signal<&'static str>,
    usual: Signal<&'static str>,
    get: fn(&Inputs) -> &String,
    set: fn(&mut Inputs, String),
) -> impl IntoView {
    let desk = desk();
    let refused = move || {
        let named = desk.studio.with(|studio| {
            studio.problem.as_ref().is_some_and(|problem| problem.error.field.as_deref() == Some(field.get()))
        });
        if named { "true" } else { "false" }
    };
    view! {
        <div class="field">
            <label for=id>{move || desk.inputs.with(|inputs| label(inputs.start))}</label>
            <input id=id data-testid=id type="number" inputmode="decimal" min="0" max="1" step="0.05" placeholder=usual
                aria-invalid=refused prop:value=move || desk.inputs.with(|inputs| get(inputs).clone())
                on:input:target=move |event| desk.inputs.update(|inputs| set(inputs, event.target().value()))/>
        </div>
    }
}

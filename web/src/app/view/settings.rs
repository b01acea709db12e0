//! The numbers of a picture: size, steps, guidance, seed, and the sampler where there is a choice.

use super::desk;
use crate::desk::Desk;
use fresco_api::{Sampler, limits};
use fresco_web::form::Field;
use leptos::prelude::*;

/// The settings.
#[component]
pub fn Settings() -> impl IntoView {
    let desk = desk();
    let side = move |pick: fn(&fresco_api::ModelInfo) -> u32| {
        desk.model.with(|model| model.as_ref().map(pick).map(|number| number.to_string()))
    };
    let min = Signal::derive(move || side(|model| model.min_side));
    let max = Signal::derive(move || side(|model| model.max_side));
    let step = Signal::derive(move || side(|model| model.latent_factor));
    let fixed = |text: String| Signal::derive(move || Some(text.clone()));
    view! {
        <fieldset class="grid">
            <legend class="unseen">"Settings"</legend>
            <Number field=Field::Width label="Width" min=min max=max step=step/>
            <Number field=Field::Height label="Height" min=min max=max step=step/>
            <Number field=Field::Steps label="Steps" min=fixed(limits::MIN_STEPS.to_string())
                max=fixed(limits::MAX_STEPS.to_string()) step=fixed("1".into())/>
            <Number field=Field::Guidance label="Guidance" min=fixed("0".into())
                max=fixed(limits::MAX_GUIDANCE.to_string()) step=fixed("0.5".into())/>
            <Seed/>
            <SamplerChoice/>
        </fieldset>
    }
}

/// Whether the last error names this field; for `aria-invalid`.
pub fn refused(desk: Desk, field: Field) -> &'static str {
    let named = desk.studio.with(|studio| {
        studio.problem.as_ref().is_some_and(|problem| problem.error.field.as_deref() == Some(field.wire()))
    });
    if named { "true" } else { "false" }
}

#[component]
fn Number(
    field: Field,
    label: &'static str,
    min: Signal<Option<String>>,
    max: Signal<Option<String>>,
    step: Signal<Option<String>>,
) -> impl IntoView {
    let desk = desk();
    view! {
        <div class="field">
            <label for=field.id()>{label}</label>
            <input id=field.id() data-testid=field.id() type="number" inputmode="decimal" min=min max=max step=step
                aria-invalid=move || refused(desk, field)
                prop:value=move || desk.form.with(|form| form.get(field).to_owned())
                on:input:target=move |event| desk.form.update(|form| form.set(field, event.target().value()))/>
        </div>
    }
}

/// The seed is text: numbers of the browser lose digits above 2^53.
#[component]
fn Seed() -> impl IntoView {
    let desk = desk();
    view! {
        <div class="field wide">
            <label for="seed">"Seed " <small>"empty: a new one each time"</small></label>
            <div class="joined">
                <input id="seed" data-testid="seed" type="text" inputmode="numeric" autocomplete="off" placeholder="random"
                    aria-invalid=move || refused(desk, Field::Seed)
                    prop:value=move || desk.form.with(|form| form.seed.clone())
                    on:input:target=move |event| desk.form.update(|form| form.set(Field::Seed, event.target().value()))/>
                <button type="button" id="dice" data-testid="dice" title="Draw a seed" aria-label="Draw a seed"
                    on:click=move |_| desk.draw_seed()>
                    <Dice/>
                </button>
            </div>
        </div>
    }
}

#[component]
fn Dice() -> impl IntoView {
    view! {
        <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" class="dice">
            <rect x="3" y="3" width="18" height="18" rx="4"></rect>
            <circle cx="8" cy="8" r="1.6"></circle>
            <circle cx="16" cy="8" r="1.6"></circle>
            <circle cx="12" cy="12" r="1.6"></circle>
            <circle cx="8" cy="16" r="1.6"></circle>
            <circle cx="16" cy="16" r="1.6"></circle>
        </svg>
    }
}

#[component]
fn SamplerChoice() -> impl IntoView {
    let desk = desk();
    (Sampler::ALL.len() > 1).then(|| view! {
        <div class="field wide">
            <label for="sampler">"Sampler"</label>
            <select id="sampler" data-testid="sampler" prop:value=move || desk.form.with(|form| form.sampler.clone())
                on:change:target=move |event| desk.form.update(|form| form.set(Field::Sampler, event.target().value()))>
                {Sampler::ALL.iter().map(|sampler| view! {
                    <option value=sampler.name()>{sampler.label()}</option>
                }).collect_view()}
            </select>
        </div>
    })
}

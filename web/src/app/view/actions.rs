//! Generate and Cancel, how far the job is, and what went wrong.

use super::desk;
use fresco_web::{
    state::{Problem, Studio},
    words,
};
use leptos::prelude::*;

/// The buttons, the progress and the problem.
#[component]
pub fn Actions() -> impl IntoView {
    let desk = desk();
    let stopping = move || desk.studio.with(|studio| studio.run.as_ref().is_none_or(|run| run.stopping));
    view! {
        <div class="actions">
            <button type="submit" id="generate" data-testid="generate" class="primary"
                disabled=move || desk.running() || desk.model.with(Option::is_none)>"Generate"</button>
            <button type="button" id="cancel" data-testid="cancel" disabled=stopping
                on:click=move |_| desk.cancel()>"Cancel"</button>
        </div>
        <Progress/>
        <div id="error" data-testid="error" role="alert" class="problem">
            {move || desk.studio.with(|studio| studio.problem.clone()).map(|problem| view! { <Trouble problem/> })}
        </div>
    }
}

#[component]
fn Progress() -> impl IntoView {
    let desk = desk();
    let share = move || desk.studio.with(|studio| studio.run.as_ref().and_then(|run| run.progress.share));
    view! {
        <div class="progress">
            <progress id="progress" data-testid="progress" max="1" aria-label="Progress" value=share
                class:idle=move || !desk.running()></progress>
            <p id="status" data-testid="status" role="status">{move || desk.studio.with(status)}</p>
        </div>
    }
}

/// The running job's stage, or how the last one ended.
fn status(studio: &Studio) -> String {
    match (&studio.run, studio.picture()) {
        (Some(run), _) => run.progress.words.clone(),
        (None, _) if studio.cancelled => "Cancelled".to_owned(),
        (None, Some(picture)) if studio.problem.is_none() => format!("Done in {}", words::duration(picture.time_taken)),
        _ => String::new(),
    }
}

#[component]
fn Trouble(problem: Problem) -> impl IntoView {
    let desk = desk();
    view! {
        <p>{problem.error.message}</p>
        {problem.try_cpu.then(|| view! {
            <button type="button" id="retry-cpu" data-testid="retry-cpu" on:click=move |_| desk.retry_on_cpu()>
                "Try again on the CPU"
            </button>
        })}
    }
}

//! The page's head: its name, and the model with an honest word about it.

use super::desk;
use leptos::prelude::*;

/// The page's head.
#[component]
pub fn Header() -> impl IntoView {
    let desk = desk();
    view! {
        <header class="top">
            <h1>"Fresco"</h1>
            <p class="tagline">"Pictures from words, made on your own machine."</p>
            {move || desk.model.get().map(|model| view! {
                <div class="model" data-testid="model">
                    <span class="model-name">{model.name}</span>
                    {model.demo.then(|| view! { <span class="badge">"Demo model"</span> })}
                    <p>{model.description}</p>
                </div>
            })}
        </header>
    }
}

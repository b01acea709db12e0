//! The HTTP interface: every route on one page.

mod assets;
mod batch;
mod body;
mod error;
mod events;
mod images;
mod jobs;
mod limits;
mod models;
mod modes;
mod owner;
mod pulls;
mod ranges;
mod repeat;
mod security;
mod shape;
mod status;
mod tab_hub;
mod watch;
mod weights;

pub(crate) use limits::Limits;
pub(crate) use security::Hosts;
pub(crate) use tab_hub::TabHub;
pub(crate) use watch::Counts;

use crate::app::App;
use axum::{
    Router, middleware,
    routing::{delete, get, post},
};
use fresco_api::{Img2img, Inpaint, StyleTransfer, routes};
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};

/// The whole interface. `hosts` are the names by which it may be addressed.
pub(crate) fn router(app: App, hosts: Hosts, limits: Limits) -> Router {
    let (guard, counts) = (security::Guard::new(hosts, &app.tab_hub), app.counts.clone());
    Router::new()
        // For the clients of the original job interface, and for our own.
        .merge(api())
        .nest(routes::API, api())
        .route(routes::WEIGHTS, get(weights::file))
        .fallback(assets::page)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(app)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(limits, limits::limit))
        .layer(middleware::from_fn_with_state(guard, security::guard))
        .layer(middleware::from_fn_with_state(counts, watch::count))
        .layer(TraceLayer::new_for_http())
}

fn api() -> Router<App> {
    Router::new()
        .route(routes::TEXT2IMG, post(jobs::text2img))
        .route(routes::IMG2IMG, post(modes::submit::<Img2img>))
        .route(routes::INPAINT, post(modes::submit::<Inpaint>))
        .route(routes::STYLE_TRANSFER, post(modes::submit::<StyleTransfer>))
        .route(routes::BATCH, post(batch::submit))
        .route(routes::BATCH_ONE, get(batch::one).delete(batch::forget))
        .route(routes::BATCH_CANCEL, post(batch::cancel))
        .route(routes::JOBS, get(jobs::list))
        .route(routes::JOB, get(jobs::one).delete(jobs::forget))
        .route(routes::JOB_EVENTS, get(events::listen))
        .route(routes::JOB_CANCEL, post(jobs::cancel))
        .route(routes::JOB_RETRY, post(jobs::retry))
        .route(routes::JOB_PRIORITY, post(jobs::priority))
        .route(routes::JOB_MOVE, post(jobs::move_to))
        .route(routes::EVENTS, get(events::all))
        .route(routes::QUEUE_STATUS, get(status::queue))
        .route(routes::QUEUE_PAUSE, post(status::pause))
        .route(routes::QUEUE_RESUME, post(status::resume))
        .route(routes::MODELS, get(models::list))
        .route(routes::MODEL, delete(models::remove))
        .route(routes::MODEL_FILES, get(models::files))
        .route(routes::MODEL_PULL, post(pulls::start))
        .route(routes::PULLS, get(pulls::list))
        .route(routes::PULL, get(pulls::one).delete(pulls::cancel))
        .route(routes::PULL_EVENTS, get(pulls::events))
        .route(routes::HEALTH, get(status::health))
        .route(routes::READY, get(watch::ready))
        .route(routes::METRICS, get(watch::metrics))
        .merge(images::routes())
}

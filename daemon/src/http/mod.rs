//! The HTTP interface: every route on one page.

mod assets;
mod body;
mod error;
mod events;
mod jobs;
mod models;
mod modes;
mod ranges;
mod security;
mod status;
mod weights;

pub(crate) use security::Hosts;

use crate::app::App;
use axum::{
    Router, middleware,
    routing::{get, post},
};
use fresco_api::{Img2img, Inpaint, StyleTransfer, routes};
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};

/// The whole interface. `hosts` are the names by which it may be addressed.
pub(crate) fn router(app: App, hosts: Hosts) -> Router {
    Router::new()
        .route(routes::TEXT2IMG, post(jobs::text2img))
        .route(routes::IMG2IMG, post(modes::submit::<Img2img>))
        .route(routes::INPAINT, post(modes::submit::<Inpaint>))
        .route(routes::STYLE_TRANSFER, post(modes::submit::<StyleTransfer>))
        .route(routes::JOBS, get(jobs::list))
        .route(routes::JOB, get(jobs::one))
        .route(routes::JOB_EVENTS, get(events::listen))
        .route(routes::JOB_CANCEL, post(jobs::cancel))
        .route(routes::MODELS, get(models::list))
        .route(routes::QUEUE_STATUS, get(status::queue))
        .route(routes::HEALTH, get(status::health))
        .route("/weights/fresco-tiny/{*file}", get(weights::file))
        .fallback(assets::page)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(app)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(hosts, security::guard))
        .layer(TraceLayer::new_for_http())
}

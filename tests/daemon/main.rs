//! The daemon as its clients see it: real HTTP, the real server, a fake engine.
#![cfg(not(target_arch = "wasm32"))]

mod bad_input;
mod batch;
mod cancel;
mod durable;
mod events;
mod feed;
mod hub;
mod images;
mod jobs;
mod load;
mod manage;
mod memory;
mod modes;
mod named;
mod page;
mod queue;
mod repeat;
mod replaced;
mod robust;
mod security;
mod shutdown;
mod status;
mod storage;
mod store;
#[path = "../support/mod.rs"]
mod support;

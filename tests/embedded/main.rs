//! The embedded model: its pictures show what the prompt asks for, and they are the reference's pictures.
#![cfg(not(target_arch = "wasm32"))]

mod finish;
mod model;
mod palette;
mod prompts;
mod reference;
mod scorer;
mod starts;
mod styles;

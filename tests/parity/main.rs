//! The numbers of the reference implementation, met on every engine: the same checks run natively on
//! the CPU, and in a browser on WebGPU and on the CPU.

mod allocations;
mod blocks;
mod broken;
mod checkpoints;
mod classify;
mod families;
mod family_modes;
mod files;
mod fit;
mod fuzz;
mod gguf;
mod kernels;
mod lora;
mod models;
mod noise;
mod packed;
mod pictures;
mod post;
mod prompts;
mod samplers;
mod schedules;
mod style;
mod texts;
mod tokens;
mod transforms;
mod vaes;

/// The largest relative error of a block.
const BLOCK: f64 = 1e-4;
/// The largest relative error of a whole run.
const RUN: f64 = 1e-3;

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(not(target_arch = "wasm32"))]
mod native;

//! What several tests need: models held in memory, and golden tensors with their comparison.

pub mod golden;
pub mod memory;
pub mod synthetic;

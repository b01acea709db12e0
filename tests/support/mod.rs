//! Helpers that black-box tests share.

pub mod daemon;
pub mod events;
pub mod hub;
pub mod s3;

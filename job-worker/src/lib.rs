//! Runs jobs.

// Ranks, lowest first; a module imports strictly lower ranks, and its own children.
pub mod logs;
pub mod metrics;

pub mod admin;

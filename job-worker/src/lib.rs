//! Runs jobs.

// Ranks, lowest first; a module imports strictly lower ranks, and a parent its children.
pub mod logs;
pub mod metrics;

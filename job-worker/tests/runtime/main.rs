//! The runtime in one process, on the broker in memory: outcomes, options, limits, and what is checked at the start.

mod chains;
mod outcomes;
mod scene;
mod sharing;
mod start;

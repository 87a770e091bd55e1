//! Background jobs and events: what producers and brokers need.
//!
//! The glossary: a **job** is a command, kept until it has run. An **event** is an application's fan-out message. An
//! **observation** is what the runtime saw. A **delivery** is one message handed to one process. An **attempt** is one
//! numbered run. A **schedule** is recurrence, a **delay** is one-off. **Dead** is a job that will not run again unless
//! somebody decides so.

// Ranks, lowest first; a module imports strictly lower ranks, and a child its parent's `mod`. `tests/ranks.rs` checks it.
pub mod error;

pub mod clock;

pub mod name;
pub mod trace;

pub mod backoff;

pub mod options;

pub mod envelope;
pub mod topology;

pub mod observation;

pub mod broker;

//! The names of headers, and which of them are not the user's.

use crate::sabotage::{self, Mutant};

pub(super) const PREFIX: &str = "job-";

pub(super) const ARMED: &str = "job-armed";
pub(super) const ATTEMPT: &str = "job-attempt";
pub(super) const CHAIN: &str = "job-chain";
pub(super) const CRASHES: &str = "job-crashes";
pub(super) const CURSOR: &str = "job-cursor";
pub(super) const DEATH: &str = "job-death";
pub(super) const DESTINATION: &str = "job-destination";
pub(super) const ENQUEUED_AT: &str = "job-enqueued-at";
pub(super) const EXPIRES: &str = "job-expires";
pub(super) const FAILURES: &str = "job-failures";
pub(super) const MAX_ATTEMPTS: &str = "job-max-attempts";
pub(super) const NOT_BEFORE: &str = "job-not-before";
pub(super) const PARKED_SINCE: &str = "job-parked-since";
pub(super) const SEQUENCE: &str = "job-sequence";
pub(super) const SNOOZES: &str = "job-snoozes";
pub(super) const STALLS: &str = "job-stalls";
pub(super) const VERSION: &str = "job-version";

pub(super) const TRACE_PARENT: &str = "traceparent";
pub(super) const TRACE_STATE: &str = "tracestate";

/// How often a quorum queue has got the message back.
pub(super) const DELIVERY_COUNT: &str = "x-delivery-count";

/// The version of the headers that this code writes.
pub(super) const VERSION_WRITTEN: u32 = 1;

/// Says whether a header is one that brokers add, or that would make them do something.
///
/// Only these, not all that begin with "x-": tracers of other languages use such names, too.
pub(super) fn is_of_broker(name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["x-death", "x-first-death-", "x-last-death-", "x-opt-"];
    // The last four: copies to further queues, and the marks by which federation and shovel stop going in circles.
    const NAMES: [&str; 7] =
        [DELIVERY_COUNT, "x-acquired-count", "x-stream-offset", "CC", "BCC", "x-received-from", "x-shovelled"];
    if sabotage::is_on(Mutant::KeepXDeath) && name == "x-death" {
        return false;
    }
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Says whether a header is the user's own.
pub(super) fn is_of_user(name: &str) -> bool {
    !name.starts_with(PREFIX) && !matches!(name, TRACE_PARENT | TRACE_STATE) && !is_of_broker(name)
}

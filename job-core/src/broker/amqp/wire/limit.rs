//! How large each part of a message's metadata may be.
//!
//! AMQP puts all of it into one frame, of 131 072 bytes by default, and a broker ends the connection over a larger one,
//! with everything that was under way on it. The parts below add up to 104 KiB; the rest is for the short headers and the
//! properties.

use crate::envelope::{CHAIN_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX};

/// User headers of a message that is run.
pub(super) const HEADERS_RUN_MAX: usize = HEADERS_MAX;

/// Their bytes.
pub(super) const HEADERS_RUN_BYTES_MAX: usize = HEADERS_BYTES_MAX;

/// User headers that are kept of a message that has too many to be run.
pub(super) const HEADERS_KEPT_MAX: usize = 256;

/// The bytes of user headers that are kept, each counted with what its place in the table takes.
pub(super) const HEADERS_KEPT_BYTES_MAX: usize = 24 * 1024;

/// A header takes its length bytes and the letter of its type, too.
pub(super) const HEADER_BYTES: usize = 6;

/// A chain's JSON: the steps, and the first job's id.
pub(super) const CHAIN_JSON_BYTES_MAX: usize = CHAIN_BYTES_MAX + 2 * 1024;

/// A cursor's JSON.
pub(super) const CURSOR_BYTES_MAX: usize = 32 * 1024;

/// The JSON of the failures.
pub(super) const FAILURES_BYTES_MAX: usize = 20 * 1024;

/// The JSON of the death.
pub(super) const DEATH_BYTES_MAX: usize = 8 * 1024;

/// W3C asks for 512 characters at least, and allows to leave out what is longer.
pub(super) const TRACE_STATE_BYTES_MAX: usize = 2 * 1024;

// The bounds of this page hold by its own numbers.
const _: () = {
    let parts = HEADERS_KEPT_BYTES_MAX
        + CHAIN_JSON_BYTES_MAX
        + CURSOR_BYTES_MAX
        + FAILURES_BYTES_MAX
        + DEATH_BYTES_MAX
        + TRACE_STATE_BYTES_MAX;
    assert!(parts == 104 * 1024);
    assert!(HEADERS_RUN_BYTES_MAX + HEADERS_RUN_MAX * HEADER_BYTES <= HEADERS_KEPT_BYTES_MAX);
};

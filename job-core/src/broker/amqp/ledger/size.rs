//! How large a ledger may become, and when it is written again.

use crate::broker::amqp::argument::{LEDGER_BYTES_MAX, LEDGER_SEGMENT_BYTES};

/// The sizes of one ledger; smaller ones are for tests that fill it.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker::amqp) struct Size {
    /// Beyond this the oldest part is cut off.
    pub(in crate::broker::amqp) bytes_max: u32,
    /// What is cut off at once.
    pub(in crate::broker::amqp) segment_bytes: u32,
    /// A snapshot is due when so much was appended since the last one: sixteen fit below the cap.
    pub(in crate::broker::amqp) snapshot_bytes: u64,
    /// The largest entry.
    pub(in crate::broker::amqp) entry_bytes_max: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            bytes_max: LEDGER_BYTES_MAX,
            segment_bytes: LEDGER_SEGMENT_BYTES,
            snapshot_bytes: 4 * 1024 * 1024,
            entry_bytes_max: 64 * 1024,
        }
    }
}

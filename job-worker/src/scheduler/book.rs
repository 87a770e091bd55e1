//! How far a schedule has come, and when that is written into the ledger: seldom, since every process reads all of it.

use std::time::{Duration, Instant};

use job_core::clock::Timestamp;
use job_core::schedule::{Overlap, PauseEntry, TickEntry};

/// A schedule's ticks are written at most once in this time.
const WRITE_PERIOD: Duration = Duration::from_secs(60);

/// The ticks of one schedule, in the hands of the leader.
pub(crate) struct Book {
    pub(crate) entry: TickEntry,
    written: Option<TickEntry>,
    written_at: Option<Instant>,
}

impl Book {
    /// Goes on from what the ledger says, or begins now: ticks before that were nobody's.
    pub(crate) fn open(written: Option<TickEntry>, recurrence: &str, now: Timestamp) -> Self {
        let entry =
            written.clone().unwrap_or_else(|| TickEntry { last: now, fired: None, recurrence: recurrence.into() });
        Self { entry, written, written_at: None }
    }

    /// Begins anew where something else recurs, and does not look behind a pause.
    pub(crate) fn follow(&mut self, recurrence: &str, pause: Option<&PauseEntry>, now: Timestamp) {
        if self.entry.recurrence != recurrence {
            self.entry.recurrence = recurrence.into();
            self.deal_with(now);
            self.written_at = None;
        }
        if let Some(pause) = pause {
            self.deal_with(pause.since);
        }
    }

    /// Notes that all ticks up to this one are dealt with.
    pub(crate) fn deal_with(&mut self, tick: Timestamp) {
        self.entry.last = self.entry.last.max(tick);
    }

    /// Notes that a tick has a job. Whoever leads next must know that job if it is not to be overlapped; and who lists
    /// schedules wants to see that a new one works.
    pub(crate) fn note_fired(&mut self, tick: Timestamp, overlap: Overlap) {
        self.deal_with(tick);
        let is_first = self.entry.fired.replace(tick).is_none();
        if is_first || overlap == Overlap::Skip {
            self.written_at = None;
        }
    }

    /// Returns what is to be written: at once when it is the first, else from time to time.
    pub(crate) fn take_due(&mut self, now: Instant, is_last: bool) -> Option<&TickEntry> {
        let is_new = self.written.as_ref() != Some(&self.entry);
        let is_time = self.written_at.is_none_or(|at| now.duration_since(at) >= WRITE_PERIOD);
        if !is_new || !(is_time || is_last) {
            return None;
        }
        self.written = Some(self.entry.clone());
        self.written_at = Some(now);
        Some(&self.entry)
    }
}

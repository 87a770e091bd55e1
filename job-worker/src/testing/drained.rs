//! What became of the jobs that a harness ran.

use std::sync::{Mutex, MutexGuard};

use job_core::observation::{FinishedOutcome, Observation, Observer};

/// How many runs ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Jobs that completed.
    pub completed: usize,
    /// Runs that failed; their jobs come back.
    pub retried: usize,
    /// Runs that asked to come back later.
    pub snoozed: usize,
    /// Runs that asked to come back with a cursor.
    pub continued: usize,
    /// Jobs that died, by their last run or without one.
    pub dead: usize,
    /// Runs of ephemeral subscriptions that failed: nothing is kept of them.
    pub forgotten: usize,
    /// Jobs that were put aside without a run: their handler is not here.
    pub parked: usize,
}

/// Counts what the executor tells.
#[derive(Default)]
pub(super) struct Tally(Mutex<Drained>);

impl Tally {
    /// Returns what was counted since the last call.
    pub(super) fn take(&self) -> Drained {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Drained> {
        self.0.lock().expect("no code panics while it counts")
    }
}

impl Observer for Tally {
    fn observe(&self, observation: &Observation<'_>) {
        let mut drained = self.lock();
        match observation {
            Observation::Finished { outcome, .. } => match outcome {
                FinishedOutcome::Completed => drained.completed += 1,
                FinishedOutcome::Retried => drained.retried += 1,
                FinishedOutcome::Snoozed => drained.snoozed += 1,
                FinishedOutcome::Continued => drained.continued += 1,
                FinishedOutcome::Dead(_) => drained.dead += 1,
                FinishedOutcome::Forgotten => drained.forgotten += 1,
                // Neither happens here: nobody stops the harness, and its deliveries are never somebody else's.
                FinishedOutcome::Released | FinishedOutcome::Unrecorded => {}
            },
            Observation::Refused { .. } => drained.dead += 1,
            Observation::Parked { .. } => drained.parked += 1,
            _ => {}
        }
    }
}

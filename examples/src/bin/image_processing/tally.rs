//! What became of the jobs, counted from the worker's observations.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use job_core::JobId;
use job_core::observation::{FinishedOutcome, Observation, Observer};

use crate::progress::Progress;

/// Counts every run of this process, and remembers how the jobs of one order ended.
pub(crate) struct Tally {
    start: Instant,
    progress: Progress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: Counts,
    /// The ordered jobs; nothing is kept of others, which may be any number.
    fates: HashMap<JobId, Option<Fate>>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    processed: u64,
    failed: u64,
    dead: u64,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Dead,
}

impl Tally {
    /// Begins to count.
    pub(crate) fn new(progress: Progress, order: &[JobId]) -> Self {
        let fates = order.iter().map(|id| (id.clone(), None)).collect();
        let state = State { counts: Counts::default(), fates };
        Self { start: Instant::now(), progress, state: Mutex::new(state) }
    }

    /// Returns how an ordered job ended in this process.
    pub(crate) fn fate(&self, id: &JobId) -> Option<Fate> {
        self.state().fates.get(id).copied().flatten()
    }

    /// Returns the progress bar, which moves with the count.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("counting does not panic")
    }

    fn end(&self, id: &JobId, fate: Fate) {
        let mut state = self.state();
        match fate {
            Fate::Done => state.counts.processed += 1,
            Fate::Dead => state.counts.dead += 1,
        }
        if let Some(place) = state.fates.get_mut(id) {
            *place = Some(fate);
        }
        drop(state);
        self.progress.advance();
    }
}

impl Observer for Tally {
    fn observe(&self, observation: &Observation<'_>) {
        let (run, outcome, error) = match observation {
            Observation::Finished { run, outcome, error, .. } => (run, *outcome, error.unwrap_or_default()),
            // Dead without a run, such as a job whose JSON cannot be read.
            Observation::Refused { run, reason, error } => (run, FinishedOutcome::Dead(*reason), *error),
            _ => return,
        };
        match outcome {
            FinishedOutcome::Completed => self.end(run.id, Fate::Done),
            FinishedOutcome::Dead(_) => {
                self.progress.print(&format!("dead: {error}"));
                self.end(run.id, Fate::Dead);
            }
            FinishedOutcome::Retried => {
                self.progress.print(&format!("failed, and comes back: {error}"));
                self.state().counts.failed += 1;
            }
            _ => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { processed, failed, dead } = self.state().counts;
        let seconds = self.start.elapsed().as_secs_f64();
        write!(f, "processed={processed} failed={failed} dead={dead} seconds={seconds:.1}")
    }
}

//! What the runtime saw, as one stream: metrics, logs and traces are its observers.
//!
//! Clients and workers emit; nobody formats a log line or counts anything beside this stream.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::envelope::DeathReason;
use crate::name::{JobId, Kind, QueueName};

/// Something that happened. Borrowed: an observer copies what it keeps.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Observation<'a> {
    /// A job was stored by this process.
    Enqueued {
        /// The queue it waits in.
        queue: &'a QueueName,
        /// Its kind.
        kind: &'a Kind,
        /// Its id.
        id: &'a JobId,
    },
    /// A run began.
    Started {
        /// Which run.
        run: Run<'a>,
        /// How long the job could have been started before it was.
        wait: Duration,
    },
    /// A run ended and its outcome was recorded.
    Finished {
        /// Which run.
        run: Run<'a>,
        /// How it ended.
        outcome: FinishedOutcome,
        /// How long it took.
        duration: Duration,
        /// The error, where there was one.
        error: Option<&'a str>,
        /// When the job comes back, where it does.
        back_at: Option<Timestamp>,
    },
    /// A job was declared dead without a run.
    Refused {
        /// Which job.
        run: Run<'a>,
        /// The class of the reason.
        reason: DeathReason,
        /// The reason in words.
        error: &'a str,
    },
    /// A job went aside without a run: no handler knows its kind, or its kind runs at its limit.
    Parked {
        /// Which job.
        run: Run<'a>,
        /// Why.
        reason: &'a str,
        /// When it comes back.
        back_at: Timestamp,
    },
    /// An outcome could not be recorded: the delivery had become somebody else's, or the broker refused it.
    SettleFailed {
        /// Which run.
        run: Run<'a>,
        /// Why.
        error: &'a crate::error::Error,
    },
    /// A run holds its thread without giving others a turn, or runs on after its timeout.
    Overdue {
        /// Which run.
        run: Run<'a>,
        /// For how long.
        duration: Duration,
        /// What it does, in words.
        what: &'a str,
    },
    /// A part of the runtime failed and is started again.
    ComponentFailed {
        /// Which part.
        component: &'a str,
        /// Why.
        error: &'a str,
        /// How often it failed so far.
        failures: u32,
    },
    /// This process became the one that fires the ticks of an application's schedules, or is it no longer.
    Leads {
        /// Whose schedules.
        application: &'a str,
        /// It is the one now.
        is_leading: bool,
    },
    /// The job of a schedule's tick was stored by this process.
    Ticked {
        /// Whose schedule.
        application: &'a str,
        /// Its name.
        schedule: &'a str,
        /// When the tick was due.
        tick: Timestamp,
        /// How much later its job was stored.
        lateness: Duration,
    },
    /// Ticks of a schedule came and went without jobs, as its policies say.
    TicksSkipped {
        /// Whose schedule.
        application: &'a str,
        /// Its name.
        schedule: &'a str,
        /// How many; a thousand stands for more, too.
        count: usize,
        /// Why.
        reason: SkipReason,
    },
    /// The worker entered a new phase.
    Phase {
        /// Which.
        phase: Phase,
        /// Details in words, for people.
        detail: &'a str,
    },
}

/// Why a tick has no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// No worker fired it in time.
    Missed,
    /// The job of the tick before it had not ended.
    Overlap,
}

impl SkipReason {
    /// Returns the reason as it stands in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Overlap => "overlap",
        }
    }
}

/// Identifies one run of one job.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The queue it came from.
    pub queue: &'a QueueName,
    /// Its kind, `unknown` where there is none.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a JobId,
    /// How often the job has come back without using an attempt.
    pub sequence: u32,
    /// The number of the run, from 1.
    pub attempt: u32,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishedOutcome {
    /// The handler returned `Ok`.
    Completed,
    /// The run failed, and the job comes back.
    Retried,
    /// The handler asked to come back later.
    Snoozed,
    /// The handler asked to come back with its cursor.
    Continued,
    /// The job is dead.
    Dead(DeathReason),
    /// The worker stopped before the run ended; the attempt is not used.
    Released,
    /// The run failed, and nothing is kept of the job: its queue goes with the process.
    Forgotten,
    /// The run is over, but its outcome could not be recorded: the job comes back, or is somebody else's.
    Unrecorded,
}

impl FinishedOutcome {
    /// Returns the outcome as it stands in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Retried => "retried",
            Self::Snoozed => "snoozed",
            Self::Continued => "continued",
            Self::Dead(_) => "dead",
            Self::Released => "released",
            Self::Forgotten => "forgotten",
            Self::Unrecorded => "unrecorded",
        }
    }
}

/// The phases of a worker's life, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It checks its configuration and connects.
    Starting,
    /// It takes jobs.
    Running,
    /// It finishes what it has, and takes nothing, until told to go on.
    Quiet,
    /// It finishes what it has, and stops.
    Draining,
    /// It has stopped.
    Stopped,
}

/// Takes note of observations. Called inline by the code that runs jobs: it must be quick and must not block.
pub trait Observer: Send + Sync + 'static {
    /// Takes note of one observation.
    fn observe(&self, observation: &Observation<'_>);
}

impl<F: Fn(&Observation<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, observation: &Observation<'_>) {
        self(observation);
    }
}

/// Any number of observers; cloning it is cheap.
#[derive(Clone, Default)]
pub struct Observers(Arc<[Arc<dyn Observer>]>);

impl Observers {
    /// Returns these observers and one more.
    #[must_use]
    pub fn with(&self, observer: Arc<dyn Observer>) -> Self {
        Self(self.0.iter().cloned().chain([observer]).collect())
    }

    /// Tells every observer.
    pub fn emit(&self, observation: &Observation<'_>) {
        for observer in &*self.0 {
            observer.observe(observation);
        }
    }
}

//! The schedules that stand in the attributes of jobs, as the derive submits them.

use std::time::Duration;

use crate::job::AnyJob;
use crate::schedule::{Missed, Overlap, Recurrence, Schedule};

/// A schedule of a job's type, constant over the life of the program.
#[derive(Clone, Copy, Debug)]
pub struct LinkedSchedule {
    /// The kind of its jobs.
    pub kind: &'static str,
    /// Which of the type's schedules it is, from 1.
    pub number: usize,
    /// The cron expression and its zone.
    pub cron: Option<(&'static str, &'static str)>,
    /// The interval, where there is no expression.
    pub every: Duration,
    /// What becomes of missed ticks.
    pub missed: Missed,
    /// What becomes of a tick while the job before it has not ended.
    pub overlap: Overlap,
    /// By how much jobs are delayed at the most.
    pub jitter: Duration,
    /// Makes the job.
    pub make: fn() -> Box<dyn AnyJob>,
}

inventory::collect!(LinkedSchedule);

impl LinkedSchedule {
    /// Returns every schedule that was linked into this program, in no order.
    pub fn linked() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>.into_iter()
    }

    /// Returns its name: the kind, and behind it the number where it is not the first.
    pub fn name(&self) -> String {
        match self.number {
            1 => self.kind.to_owned(),
            number => format!("{}.{number}", self.kind),
        }
    }

    /// Returns it as data.
    pub fn schedule(&self) -> Schedule {
        let schedule = match self.cron {
            Some((cron, zone)) => Schedule::cron(cron).zone(zone),
            None => Schedule::every(self.every),
        };
        debug_assert!(!matches!(schedule.recurrence, Recurrence::Every { every_seconds: 0 }), "the derive checks it");
        schedule.missed(self.missed).overlap(self.overlap).jitter(self.jitter)
    }
}

/// Makes the job of a type's schedules; derived code calls it. Its name is all that the compiler lets us say to those whose
/// type has no `Default`.
#[doc(hidden)]
pub fn default_job_without_schedule_with<J: AnyJob + Default + 'static>() -> Box<dyn AnyJob> {
    boxed_job(J::default())
}

/// Boxes a job that a function made; derived code calls it, so that the function must return that very type.
#[doc(hidden)]
pub fn boxed_job<J: AnyJob + 'static>(job: J) -> Box<dyn AnyJob> {
    Box::new(job)
}

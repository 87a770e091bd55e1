//! What becomes of a job after a run: a pure function of how it ended, its envelope, its policy and the time.

use std::time::Duration;

use job_core::backoff::Backoff;
use job_core::broker::Outcome;
use job_core::chain;
use job_core::clock::{Timestamp, later};
use job_core::envelope::{DeathReason, Envelope};
use job_core::observation::FinishedOutcome;
use job_core::perform::{JobError, Next};

/// Most snoozes of a job; one a minute lasts a week.
pub const SNOOZES_MAX: u32 = 10_000;

/// How often in a row `continue_with` may give the cursor that the job already had.
pub const STALLS_MAX: u32 = 100;

/// How long a kind that nobody knows waits for a worker that does.
pub const PARK_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

const PARK_DELAY_MIN: Duration = Duration::from_secs(60);
const PARK_DELAY_MAX: Duration = Duration::from_secs(3600);

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// The handler returned `Ok`.
    Completed,
    /// The handler returned an error.
    Failed(JobError),
    /// The handler panicked, with this message.
    Panicked(String),
    /// The handler took longer than this.
    TimedOut(Duration),
    /// It cannot be run at all.
    Unrunnable(DeathReason, String),
    /// The worker stopped first.
    Interrupted,
}

/// The policy of a job.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How many attempts it has.
    pub max_attempts: u32,
    /// How long it waits between them.
    pub backoff: Backoff,
}

/// What is recorded and what is told.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    /// What becomes of the delivery.
    pub outcome: Outcome,
    /// The same in a word.
    pub finished: FinishedOutcome,
    /// The error in words, where there is one.
    pub error: Option<String>,
}

impl Verdict {
    /// Returns when the job comes back, where it does.
    pub fn back_at(&self) -> Option<Timestamp> {
        match &self.outcome {
            Outcome::Later { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// Returns the verdict of a run whose queue goes with its process: what would come back or be kept is forgotten.
    #[must_use]
    pub fn forgetting(self) -> Self {
        match self.outcome {
            Outcome::Later { .. } | Outcome::Dead { .. } => Self {
                outcome: Outcome::Done { then: Vec::new() },
                finished: FinishedOutcome::Forgotten,
                error: self.error,
            },
            Outcome::Done { .. } | Outcome::Release => self,
        }
    }
}

/// Decides. `random`, from 0 to 1, places a delay within its jitter.
pub fn decide(ending: Ending, envelope: &Envelope, policy: Policy, now: Timestamp, random: f64) -> Verdict {
    match ending {
        Ending::Completed => completed(envelope, now),
        Ending::Interrupted => Verdict { outcome: Outcome::Release, finished: FinishedOutcome::Released, error: None },
        Ending::Unrunnable(reason, error) => dead(envelope.clone(), now, reason, error),
        Ending::Panicked(message) => retry(envelope, policy, now, random, None, format!("panicked: {message}")),
        Ending::TimedOut(limit) => retry(envelope, policy, now, random, None, format!("timed out after {limit:?}")),
        Ending::Failed(error) => failed(&error, envelope, policy, now, random),
    }
}

/// Decides about a job that nobody here can run: it waits, ever longer, for a worker that can; after
/// [`PARK_TIME_MAX`] it is dead.
pub fn park(envelope: &Envelope, now: Timestamp, reason: &str) -> Verdict {
    let mut envelope = envelope.clone();
    let since = *envelope.details.parked_since.get_or_insert(now);
    let age = (now - since).to_std().unwrap_or_default();
    if age >= PARK_TIME_MAX {
        return dead(envelope, now, DeathReason::UnknownKind, reason.to_owned());
    }
    // As long again as it has waited: the delays double.
    let at = later(now, age.clamp(PARK_DELAY_MIN, PARK_DELAY_MAX));
    // No new turn: nothing ran, and the idempotency key of the attempts before and after must be the same.
    envelope.not_before = Some(at);
    let outcome = Outcome::Later { at, envelope };
    Verdict { outcome, finished: FinishedOutcome::Snoozed, error: Some(reason.to_owned()) }
}

/// A chain goes on. One that cannot is no reason to run the job again and again: it is kept, with the reason.
fn completed(envelope: &Envelope, now: Timestamp) -> Verdict {
    match chain::follower(envelope, now) {
        Ok(follower) => {
            let then = follower.into_iter().collect();
            Verdict { outcome: Outcome::Done { then }, finished: FinishedOutcome::Completed, error: None }
        }
        Err(error) => dead(
            envelope.clone(),
            now,
            DeathReason::Undecodable,
            format!("completed, but its chain cannot go on: {error}"),
        ),
    }
}

fn failed(error: &JobError, envelope: &Envelope, policy: Policy, now: Timestamp, random: f64) -> Verdict {
    match error.next() {
        Next::Retry { delay } => retry(envelope, policy, now, random, *delay, error.message()),
        Next::Discard => {
            let mut envelope = envelope.clone();
            envelope.push_failure(now, &error.message());
            dead(envelope, now, DeathReason::Discarded, error.message())
        }
        Next::Snooze(delay) => snooze(envelope.clone(), later(now, *delay), now),
        Next::Continue(cursor) => proceed(envelope.clone(), cursor, now),
    }
}

fn retry(
    envelope: &Envelope,
    policy: Policy,
    now: Timestamp,
    random: f64,
    delay: Option<Duration>,
    error: String,
) -> Verdict {
    let mut envelope = envelope.clone();
    envelope.push_failure(now, &error);
    if envelope.attempt >= policy.max_attempts {
        return dead(envelope, now, DeathReason::Attempts, error);
    }
    let delay = delay.unwrap_or_else(|| policy.backoff.delay(envelope.attempt, &error, random));
    envelope.attempt += 1;
    let at = later(now, delay);
    envelope.not_before = Some(at);
    Verdict { outcome: Outcome::Later { at, envelope }, finished: FinishedOutcome::Retried, error: Some(error) }
}

fn snooze(mut envelope: Envelope, at: Timestamp, now: Timestamp) -> Verdict {
    envelope.details.snoozes += 1;
    if envelope.details.snoozes > SNOOZES_MAX {
        let error = format!("snoozed {SNOOZES_MAX} times without completing");
        return dead(envelope, now, DeathReason::Stalled, error);
    }
    back(envelope, at, FinishedOutcome::Snoozed)
}

fn proceed(mut envelope: Envelope, cursor: &serde_json::Value, now: Timestamp) -> Verdict {
    let details = &mut envelope.details;
    let is_still = details.cursor.as_ref() == Some(cursor);
    details.stalls = if is_still { details.stalls + 1 } else { 0 };
    if details.stalls >= STALLS_MAX {
        let error = format!("continued {STALLS_MAX} times in a row with the same cursor");
        return dead(envelope, now, DeathReason::Stalled, error);
    }
    details.cursor = Some(cursor.clone());
    back(envelope, now, FinishedOutcome::Continued)
}

/// Comes back as a new turn of the same attempt.
fn back(mut envelope: Envelope, at: Timestamp, finished: FinishedOutcome) -> Verdict {
    envelope.sequence = envelope.sequence.saturating_add(1);
    envelope.not_before = Some(at);
    Verdict { outcome: Outcome::Later { at, envelope }, finished, error: None }
}

fn dead(mut envelope: Envelope, now: Timestamp, reason: DeathReason, error: String) -> Verdict {
    envelope.declare_dead(now, reason, &error);
    Verdict { outcome: Outcome::Dead { envelope }, finished: FinishedOutcome::Dead(reason), error: Some(error) }
}

#[cfg(test)]
mod tests;

//! The decisions as a table.

use std::time::Duration;

use job_core::JobError;
use job_core::backoff::Backoff;
use job_core::broker::Outcome;
use job_core::clock::{Timestamp, later};
use job_core::envelope::{Chained, Death, DeathReason, Envelope, Failure, Step};
use job_core::name::{JobId, Kind, QueueName};
use job_core::observation::FinishedOutcome;
use job_core::topology::Target;

use super::{Ending, PARK_TIME_MAX, Policy, SNOOZES_MAX, STALLS_MAX, Verdict, decide, park};

const POLICY: Policy = Policy { max_attempts: 3, backoff: Backoff::Fixed(Duration::from_secs(10)) };

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn envelope() -> Envelope {
    let enqueued = "2026-01-01T11:00:00Z".parse().unwrap();
    Envelope::new(JobId::parse("j").unwrap(), Kind::parse("mail").unwrap(), b"{}".to_vec(), enqueued)
}

fn seconds(n: u64) -> Timestamp {
    later(now(), Duration::from_secs(n))
}

fn check(ending: Ending, before: &Envelope, finished: FinishedOutcome, change: impl FnOnce(&mut Envelope)) {
    let verdict = decide(ending, before, POLICY, now(), 0.5);
    assert_eq!(verdict.finished, finished);
    let mut expected = before.clone();
    change(&mut expected);
    let envelope = match &verdict.outcome {
        Outcome::Later { at, envelope } => {
            assert_eq!(Some(*at), expected.not_before);
            envelope
        }
        Outcome::Dead { envelope } => envelope,
        other => panic!("unexpected {other:?}"),
    };
    assert_eq!(*envelope, expected);
}

fn failure(attempt: u32, error: &str) -> Failure {
    Failure { attempt, at: now(), error: error.into() }
}

fn death(reason: DeathReason, error: &str) -> Option<Death> {
    Some(Death { reason, error: error.into(), at: now() })
}

fn chained(payload: &str) -> Envelope {
    let step = Step {
        kind: Kind::parse("bill").unwrap(),
        queue: QueueName::parse("money").unwrap(),
        payload: payload.into(),
        expires: None,
        max_attempts: None,
    };
    let mut envelope = envelope();
    envelope.details.chain = Some(Chained { rest: vec![step], ..Chained::default() });
    envelope
}

#[test]
fn a_completed_job_of_a_chain_stores_the_next_one() {
    let verdict = decide(Ending::Completed, &chained("7"), POLICY, now(), 0.5);
    assert_eq!(verdict.finished, FinishedOutcome::Completed);
    let Outcome::Done { then } = verdict.outcome else { panic!("it is done") };
    let next = &then[0].envelope;
    assert_eq!((then.len(), next.kind_str(), next.payload.as_slice()), (1, "bill", &b"7"[..]));
    assert_eq!(then[0].target, Target::Only(QueueName::parse("money").unwrap()));
}

#[test]
fn whatever_does_not_complete_a_job_keeps_what_follows_it() {
    for error in [
        JobError::from("boom"),
        JobError::discard("gone"),
        JobError::snooze(Duration::from_secs(1)),
        JobError::continue_with(1),
    ] {
        let verdict = decide(Ending::Failed(error), &chained("7"), POLICY, now(), 0.5);
        let (Outcome::Later { envelope, .. } | Outcome::Dead { envelope }) = verdict.outcome else {
            panic!("it does not complete")
        };
        assert_eq!(envelope.details.chain, chained("7").details.chain);
    }
}

#[test]
fn a_chain_that_cannot_go_on_is_dead_and_does_not_run_again() {
    let error = "completed, but its chain cannot go on: the payload of \"bill\" in the chain is not JSON: \
                 expected ident at line 1 column 2";
    check(Ending::Completed, &chained("no"), FinishedOutcome::Dead(DeathReason::Undecodable), |expected| {
        expected.details.death = death(DeathReason::Undecodable, error);
    });
}

#[test]
fn a_completed_job_is_done_and_an_interrupted_one_goes_back() {
    let verdict = decide(Ending::Completed, &envelope(), POLICY, now(), 0.5);
    let done = Outcome::Done { then: Vec::new() };
    assert_eq!(verdict, Verdict { outcome: done, finished: FinishedOutcome::Completed, error: None });
    let verdict = decide(Ending::Interrupted, &envelope(), POLICY, now(), 0.5);
    assert_eq!(verdict, Verdict { outcome: Outcome::Release, finished: FinishedOutcome::Released, error: None });
}

#[test]
fn a_failure_is_the_next_attempt_after_the_backoff() {
    check(Ending::Failed("boom".into()), &envelope(), FinishedOutcome::Retried, |e| {
        e.attempt = 2;
        e.not_before = Some(seconds(10));
        e.details.failures = vec![failure(1, "boom")];
    });
}

#[test]
fn a_failure_may_choose_its_delay() {
    let error = JobError::retry_in(Duration::from_secs(77), "boom");
    check(Ending::Failed(error), &envelope(), FinishedOutcome::Retried, |e| {
        e.attempt = 2;
        e.not_before = Some(seconds(77));
        e.details.failures = vec![failure(1, "boom")];
    });
}

#[test]
fn panics_and_timeouts_are_failures() {
    check(Ending::Panicked("boom".into()), &envelope(), FinishedOutcome::Retried, |e| {
        e.attempt = 2;
        e.not_before = Some(seconds(10));
        e.details.failures = vec![failure(1, "panicked: boom")];
    });
    check(Ending::TimedOut(Duration::from_secs(30)), &envelope(), FinishedOutcome::Retried, |e| {
        e.attempt = 2;
        e.not_before = Some(seconds(10));
        e.details.failures = vec![failure(1, "timed out after 30s")];
    });
}

#[test]
fn the_last_failure_is_death() {
    let last = Envelope { attempt: 3, ..envelope() };
    check(Ending::Failed("boom".into()), &last, FinishedOutcome::Dead(DeathReason::Attempts), |e| {
        e.details.failures = vec![failure(3, "boom")];
        e.details.death = death(DeathReason::Attempts, "boom");
    });
}

#[test]
fn a_discarded_job_is_dead_at_once() {
    let ending = Ending::Failed(JobError::discard("no such user"));
    check(ending, &envelope(), FinishedOutcome::Dead(DeathReason::Discarded), |e| {
        e.details.failures = vec![failure(1, "no such user")];
        e.details.death = death(DeathReason::Discarded, "no such user");
    });
}

#[test]
fn an_unrunnable_job_is_dead_with_its_reason() {
    let ending = Ending::Unrunnable(DeathReason::TooDeep, "nested 65 deep".into());
    check(ending, &envelope(), FinishedOutcome::Dead(DeathReason::TooDeep), |e| {
        e.details.death = death(DeathReason::TooDeep, "nested 65 deep");
    });
}

#[test]
fn a_snooze_uses_no_attempt_and_is_bounded() {
    let snooze = || Ending::Failed(JobError::snooze(Duration::from_secs(5)));
    check(snooze(), &envelope(), FinishedOutcome::Snoozed, |e| {
        e.sequence = 1;
        e.not_before = Some(seconds(5));
        e.details.snoozes = 1;
    });
    let mut tired = envelope();
    tired.details.snoozes = SNOOZES_MAX;
    check(snooze(), &tired, FinishedOutcome::Dead(DeathReason::Stalled), |e| {
        e.details.snoozes = SNOOZES_MAX + 1;
        e.details.death = death(DeathReason::Stalled, "snoozed 10000 times without completing");
    });
}

#[test]
fn a_cursor_uses_no_attempt_and_must_move() {
    let proceed = || Ending::Failed(JobError::continue_with(7));
    check(proceed(), &envelope(), FinishedOutcome::Continued, |e| {
        e.sequence = 1;
        e.not_before = Some(now());
        e.details.cursor = Some(7.into());
    });
    let mut still = envelope();
    still.details.cursor = Some(7.into());
    still.details.stalls = STALLS_MAX - 2;
    check(proceed(), &still, FinishedOutcome::Continued, |e| {
        e.sequence = 1;
        e.not_before = Some(now());
        e.details.stalls = STALLS_MAX - 1;
    });
    still.details.stalls = STALLS_MAX - 1;
    check(proceed(), &still, FinishedOutcome::Dead(DeathReason::Stalled), |e| {
        e.details.stalls = STALLS_MAX;
        e.details.death = death(DeathReason::Stalled, "continued 100 times in a row with the same cursor");
    });
}

#[test]
fn a_moved_cursor_forgets_the_stalls() {
    let mut moved = envelope();
    moved.details.cursor = Some(6.into());
    moved.details.stalls = 50;
    check(Ending::Failed(JobError::continue_with(7)), &moved, FinishedOutcome::Continued, |e| {
        e.sequence = 1;
        e.not_before = Some(now());
        e.details.cursor = Some(7.into());
        e.details.stalls = 0;
    });
}

#[test]
fn a_parked_job_waits_ever_longer_and_dies_after_a_day() {
    let mut envelope = envelope();
    let mut clock = now();
    let mut delays = Vec::new();
    let reason = loop {
        match park(&envelope, clock, "no handler").outcome {
            Outcome::Later { at, envelope: next } => {
                delays.push((at - clock).num_seconds());
                clock = at;
                envelope = next;
            }
            Outcome::Dead { envelope } => break envelope.details.death.unwrap().reason,
            other => panic!("unexpected {other:?}"),
        }
    };
    assert_eq!(reason, DeathReason::UnknownKind);
    assert_eq!(delays[..8], [60, 60, 120, 240, 480, 960, 1920, 3600]);
    assert_eq!(envelope.attempt, 1);
    let waited = (clock - now()).to_std().unwrap();
    assert!(waited >= PARK_TIME_MAX && waited < PARK_TIME_MAX + Duration::from_secs(3600), "{waited:?}");
}

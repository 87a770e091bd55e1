//! Starts a part of the runtime again when it fails or panics, and gives up on one that keeps failing.

use std::future::Future;
use std::time::Duration;

use job_core::clock::Clock;
use job_core::error::{Error, Result};
use job_core::observation::{Observation, Observers};

/// Failures in a row after which a part is given up: three restarts.
const FAILURES_MAX: u32 = 4;

/// A part that ran this long has recovered: its earlier failures are forgotten.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Runs `part` until it ends by itself.
///
/// A broker that cannot be reached is waited for without limit: it is not the part that fails.
///
/// # Errors
/// The last failure of a part that failed [`FAILURES_MAX`] times in a row.
pub(crate) async fn supervise<P, F>(name: &str, clock: &Clock, observers: &Observers, mut part: P) -> Result<()>
where
    P: FnMut() -> F,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut failures = 0;
    let mut pause = PAUSE_MIN;
    loop {
        let begun = clock.monotonic();
        let Err(error) = run_once(part()).await else {
            return Ok(());
        };
        if clock.monotonic() - begun >= RECOVERED_AFTER {
            (failures, pause) = (0, PAUSE_MIN);
        }
        failures += u32::from(!error.is_unavailable());
        let text = format!("{error:?}");
        observers.emit(&Observation::ComponentFailed { component: name, error: &text, failures });
        if failures >= FAILURES_MAX || error.is_corrupt() {
            return Err(error);
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// A task of its own, so that a panic is an error here.
async fn run_once(part: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let task = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(part));
    match task.await {
        Ok(result) => result,
        Err(error) => Err(Error::rejected(format!("it panicked: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn check(error: fn() -> Error, succeed_after: u32, expected_runs: u32, is_ok: bool) {
        let runs = Arc::new(AtomicU32::new(0));
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let observers = Observers::default();
        let supervised = supervise("part", &clock, &observers, || {
            let runs = Arc::clone(&runs);
            async move {
                let run = runs.fetch_add(1, Ordering::Relaxed) + 1;
                if run > succeed_after { Ok(()) } else { Err(error()) }
            }
        });
        let advance = async {
            loop {
                clock.advance(PAUSE_MAX);
                tokio::task::yield_now().await;
            }
        };
        let result = tokio::select! { result = supervised => result, () = advance => Ok(()) };
        assert_eq!((runs.load(Ordering::Relaxed), result.is_ok()), (expected_runs, is_ok));
    }

    #[tokio::test]
    async fn a_part_is_started_again_three_times() {
        check(|| Error::rejected("x"), 3, 4, true).await;
        check(|| Error::rejected("x"), 9, 4, false).await;
    }

    #[tokio::test]
    async fn an_unreachable_broker_is_waited_for() {
        check(|| Error::unavailable("x"), 30, 31, true).await;
    }

    #[tokio::test]
    async fn damaged_data_is_not_tried_again() {
        check(|| Error::corrupt("x"), 9, 1, false).await;
    }
}

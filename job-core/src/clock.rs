//! The only reader of time: wall clock, monotonic clock and sleep, real or moved by hand.
//!
//! Brokers, clients, workers and the test harness are handed a [`Clock`]; nothing else reads the time, so that a test
//! can stand still or jump a year. A manual clock moves wall and monotonic time together; a settable one runs as the
//! machine's does, behind a wall that can be set.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::sync::oneshot;

/// An instant of wall-clock time, in UTC.
pub type Timestamp = DateTime<Utc>;

/// A source of time. Cloning it is cheap, and clones share their hands.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<Mutex<Hands>>),
    /// By how many microseconds the wall is ahead of the machine's.
    Settable(Arc<AtomicI64>),
}

struct Hands {
    wall: Timestamp,
    monotonic: Instant,
    sleepers: Vec<(Instant, oneshot::Sender<()>)>,
}

impl Clock {
    /// Makes the clock of the machine. [`sleep`](Self::sleep) then needs a tokio runtime with time enabled.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// Makes a clock that shows `start` and moves only by [`advance`](Self::advance).
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(Hands {
            wall: start.trunc_subsecs(6),
            monotonic: Instant::now(),
            sleepers: Vec::new(),
        }))))
    }

    /// Makes a clock that runs as the machine's does, but shows `start` now and can be [set](Self::set_wall): for tests on
    /// brokers that need time to pass. [`sleep`](Self::sleep) needs what that of the system needs.
    pub fn settable(start: Timestamp) -> Self {
        let clock = Self(Source::Settable(Arc::default()));
        clock.set_wall(start);
        clock
    }

    /// Returns the wall-clock time, in whole microseconds: what every store keeps, so that an instant survives a round trip.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => machine(),
            Source::Manual(hands) => lock(hands).wall,
            Source::Settable(ahead) => machine() + TimeDelta::microseconds(ahead.load(Ordering::Relaxed)),
        }
    }

    /// Returns the monotonic time, for measuring how long something took.
    pub fn monotonic(&self) -> Instant {
        match &self.0 {
            Source::System | Source::Settable(_) => Instant::now(),
            Source::Manual(hands) => lock(hands).monotonic,
        }
    }

    /// Waits for `duration` of monotonic time.
    ///
    /// # Cancel safety
    /// Dropping the future forgets the wait.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System | Source::Settable(_) => tokio::time::sleep(duration).await,
            Source::Manual(hands) => {
                let alarm = lock(hands).alarm(duration);
                wait(alarm).await;
            }
        }
    }

    /// Waits until the wall clock shows `at`; returns at once when it already does.
    ///
    /// A wall clock that is set back while waiting makes this early: callers that must not be check again.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Source::System | Source::Settable(_) => tokio::time::sleep(duration_until(self.now(), at)).await,
            Source::Manual(hands) => {
                // Read and set under one lock: an `advance` in between would be slept through.
                let alarm = lock(hands).alarm_at(at);
                wait(alarm).await;
            }
        }
    }

    /// Runs `future` for at most `limit`; `None` when it did not finish. The future is polled before the timer, so one
    /// that is ready at once never costs a timer.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut sleep = pin!(self.sleep(limit));
        std::future::poll_fn(|cx| {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(cx) {
                return std::task::Poll::Ready(Some(output));
            }
            sleep.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Moves a manual clock forward and wakes the sleepers that are due.
    ///
    /// # Panics
    /// On every other clock: nobody can make real time pass.
    pub fn advance(&self, duration: Duration) {
        let Source::Manual(hands) = &self.0 else {
            panic!("only a manual clock can be advanced");
        };
        let mut hands = lock(hands);
        hands.wall = later(hands.wall, duration).trunc_subsecs(6);
        hands.monotonic += duration;
        let now = hands.monotonic;
        for (_, waker) in hands.sleepers.extract_if(.., |(due, _)| *due <= now) {
            let _ = waker.send(());
        }
    }
}

impl Clock {
    /// Sets the wall of a manual or settable clock, forward or back, as somebody does to a machine: no time has passed by
    /// that, and sleepers sleep on.
    ///
    /// # Panics
    /// On the system clock, which nobody can move.
    pub fn set_wall(&self, to: Timestamp) {
        match &self.0 {
            Source::System => panic!("the clock of the system cannot be set"),
            Source::Manual(hands) => lock(hands).wall = to.trunc_subsecs(6),
            Source::Settable(ahead) => {
                let delta = (to - machine()).num_microseconds().expect("it is within the calendar");
                ahead.store(delta, Ordering::Relaxed);
            }
        }
    }
}

impl Hands {
    fn alarm_at(&mut self, at: Timestamp) -> Option<oneshot::Receiver<()>> {
        self.alarm(duration_until(self.wall, at))
    }

    fn alarm(&mut self, duration: Duration) -> Option<oneshot::Receiver<()>> {
        if duration.is_zero() {
            return None;
        }
        // A loop that sleeps and is woken early leaves a dead sleeper behind each time.
        self.sleepers.retain(|(_, waker)| !waker.is_closed());
        let (waker, woken) = oneshot::channel();
        self.sleepers.push((self.monotonic + duration, waker));
        Some(woken)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock::System"),
            Source::Manual(hands) => write!(f, "Clock::Manual({})", lock(hands).wall),
            Source::Settable(_) => write!(f, "Clock::Settable({})", self.now()),
        }
    }
}

/// Returns how long it is from `now` until `at`; zero when `at` is not later.
pub fn duration_until(now: Timestamp, at: Timestamp) -> Duration {
    (at - now).to_std().unwrap_or(Duration::ZERO)
}

/// Returns `at` moved later by `duration`, and the last representable instant where that overflows.
pub fn later(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add_signed(delta(duration)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

fn machine() -> Timestamp {
    Utc::now().trunc_subsecs(6)
}

async fn wait(alarm: Option<oneshot::Receiver<()>>) {
    if let Some(woken) = alarm {
        // The sleeping clock holds the hands, so the sender outlives this wait.
        let _ = woken.await;
    }
}

fn lock(hands: &Mutex<Hands>) -> MutexGuard<'_, Hands> {
    hands.lock().expect("no code panics while it holds the hands")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    #[tokio::test]
    async fn a_manual_sleeper_wakes_when_its_time_has_come() {
        let clock = Clock::manual(noon());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(3600)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(3599));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), later(noon(), Duration::from_secs(3600)));
    }

    #[tokio::test]
    async fn a_settable_clock_runs_on_from_where_it_is_set() {
        let clock = Clock::settable(noon());
        let hour = Duration::from_secs(3600);
        for start in [noon(), later(noon(), hour * 3), noon()] {
            clock.set_wall(start);
            let before = clock.now();
            clock.sleep_until(later(before, Duration::from_millis(2))).await;
            let after = clock.now();
            assert!(start <= before && before < after && after < later(start, hour), "{before} {after}");
        }
    }

    #[test]
    fn sleepers_that_gave_up_are_forgotten() {
        let clock = Clock::manual(noon());
        let Source::Manual(hands) = &clock.0 else { unreachable!("made by `manual`") };
        for _ in 0..100 {
            drop(lock(hands).alarm(Duration::from_secs(1)));
        }
        assert_eq!(lock(hands).sleepers.len(), 1);
    }

    #[tokio::test]
    async fn a_ready_future_wins_over_a_zero_timeout() {
        let clock = Clock::system();
        assert_eq!(clock.timeout(Duration::ZERO, std::future::ready(7)).await, Some(7));
        assert_eq!(clock.timeout(Duration::ZERO, std::future::pending::<()>()).await, None);
    }

    #[test]
    fn later_saturates() {
        assert_eq!(later(noon(), Duration::MAX), DateTime::<Utc>::MAX_UTC);
        assert_eq!(duration_until(noon(), noon()), Duration::ZERO);
    }
}

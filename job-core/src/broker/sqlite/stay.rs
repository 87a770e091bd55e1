//! Lets a thread stay awake for what is about to come: to sleep and to be woken can cost more than a commit.
//!
//! A caller that stores job after job, alone, finds its answer like that, and the thread that writes finds the next job.
//! Both give way to whoever else wants the processor, for a fraction of a millisecond at the most, and seldom try again
//! what was in vain.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::{Receiver, error::RecvError};

use crate::clock::Clock;

/// How long a caller stays: a flush of a fast disk, and short enough to be no pause for the other tasks of its thread.
const STAY_MAX: Duration = Duration::from_micros(300);

/// How often it gives way in that time, where the clock stands still.
const YIELDS_MAX: u32 = 1000;

/// Whether staying awake is worth it: each vain attempt doubles the pause before the next one.
#[derive(Debug, Default)]
pub(super) struct Trial {
    vain: u32,
    pause: u32,
}

impl Trial {
    /// The pause grows no further after so many vain attempts in a row.
    const VAIN_MAX: u32 = 8;

    /// Says whether to try it now.
    pub(super) fn begins(&mut self) -> bool {
        let begins = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        begins
    }

    /// Learns how a try ended.
    pub(super) fn ended(&mut self, was_vain: bool) {
        self.vain = if was_vain { (self.vain + 1).min(Self::VAIN_MAX) } else { 0 };
        self.pause = (1 << self.vain) - 1;
    }
}

/// The callers of one thread that writes.
#[derive(Debug)]
pub(super) struct Callers {
    clock: Clock,
    waiting: AtomicUsize,
    trial: Mutex<Trial>,
}

/// One that waits, until it is dropped.
struct Caller<'a>(&'a Callers);

impl Callers {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, waiting: AtomicUsize::new(0), trial: Mutex::default() }
    }

    /// Waits for an answer.
    pub(super) async fn wait<T>(&self, answer: &mut Receiver<T>) -> Result<T, RecvError> {
        let caller = Caller::enter(self);
        if caller.is_alone() {
            // First the other tasks of this thread: those that are about to call share one commit, unless one of them
            // keeps the thread for itself.
            tokio::task::yield_now().await;
            if caller.is_alone() && self.trial().begins() {
                self.stay(&caller, answer);
            }
        }
        answer.await
    }

    fn stay<T>(&self, caller: &Caller<'_>, answer: &Receiver<T>) {
        let begun = self.clock.monotonic();
        for _ in 0..YIELDS_MAX {
            if !answer.is_empty() {
                return self.trial().ended(false);
            }
            if !caller.is_alone() {
                return;
            }
            if self.clock.monotonic().duration_since(begun) > STAY_MAX {
                break;
            }
            std::thread::yield_now();
        }
        self.trial().ended(true);
    }

    fn trial(&self) -> std::sync::MutexGuard<'_, Trial> {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Caller<'a> {
    fn enter(callers: &'a Callers) -> Self {
        callers.waiting.fetch_add(1, Ordering::Relaxed);
        Self(callers)
    }

    fn is_alone(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) == 1
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use tokio::sync::oneshot;

    use super::*;

    fn callers() -> Callers {
        Callers::new(Clock::manual("2026-01-01T00:00:00Z".parse().unwrap()))
    }

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn pause(callers: &Callers) -> u32 {
        callers.trial().pause
    }

    #[test]
    fn each_vain_try_doubles_the_pause_and_a_good_one_ends_it() {
        let mut trial = Trial::default();
        let mut tries =
            |count: usize| (0..count).filter(|_| trial.begins().then(|| trial.ended(true)).is_some()).count();
        assert_eq!(tries(1 + 2 + 4 + 8), 4);
        assert_eq!(tries(16), 1);
        trial.ended(false);
        assert!(trial.begins() && trial.begins());
    }

    #[test]
    fn one_that_is_alone_finds_the_answer_that_comes_while_it_stays() {
        let (callers, (sender, mut answer)) = (callers(), oneshot::channel());
        let mut wait = pin!(callers.wait(&mut answer));
        assert!(poll(wait.as_mut()).is_pending(), "the others come first");
        std::thread::scope(|scope| {
            scope.spawn(|| sender.send(7));
        });
        assert_eq!(poll(wait.as_mut()), Poll::Ready(Ok(7)));
        assert_eq!((pause(&callers), callers.waiting.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn one_whose_answer_does_not_come_goes_to_sleep_and_has_learnt() {
        let (callers, (sender, mut answer)) = (callers(), oneshot::channel());
        let mut wait = pin!(callers.wait(&mut answer));
        assert!(poll(wait.as_mut()).is_pending());
        assert!(poll(wait.as_mut()).is_pending());
        assert_eq!(pause(&callers), 1);
        sender.send(7).unwrap();
        assert_eq!(poll(wait.as_mut()), Poll::Ready(Ok(7)));
    }

    #[test]
    fn callers_that_are_not_alone_sleep() {
        let (callers, (_first, mut first), (_second, mut second)) =
            (callers(), oneshot::channel::<u8>(), oneshot::channel::<u8>());
        let mut waits = (pin!(callers.wait(&mut first)), pin!(callers.wait(&mut second)));
        for _ in 0..3 {
            assert!(poll(waits.0.as_mut()).is_pending());
            assert!(poll(waits.1.as_mut()).is_pending());
        }
        assert_eq!(pause(&callers), 0, "none has tried");
    }
}

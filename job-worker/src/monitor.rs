//! A thread beside the runtime: tells of handlers that hold an async thread, and ends a process that no longer turns.
//!
//! It counts its own ticks instead of reading a clock, so that a process that was stopped and continued is not taken
//! for a stuck one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use job_core::envelope::Envelope;
use job_core::observation::{Observation, Observers, Run};

use crate::executor::stall::StallWatch;

const TICK: Duration = Duration::from_millis(500);

/// Ticks without a heartbeat after which a process is stuck: a minute.
const STUCK_TICKS: u32 = 120;

/// What the exit of a stuck process says: sysexits' EX_SOFTWARE.
const EXIT_STUCK: i32 = 70;

/// The heartbeat of the runtime.
#[derive(Clone, Default)]
pub(crate) struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The running monitor; it ends when this is dropped.
pub(crate) struct Monitor {
    _stop: mpsc::Sender<()>,
}

/// What the monitor reads.
pub(crate) struct Watched {
    pub(crate) stall: StallWatch,
    pub(crate) observers: Observers,
    pub(crate) heartbeat: Heartbeat,
    /// End the process when the runtime no longer turns.
    pub(crate) is_exiting: bool,
}

impl Monitor {
    /// Starts the thread.
    pub(crate) fn start(watched: Watched) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new().name("job-monitor".into());
        thread.spawn(move || watched.run(&stopped))?;
        Ok(Self { _stop: stop })
    }
}

/// What the ticks heard of the heartbeat.
#[derive(Default)]
struct Pulse {
    last: u64,
    silent_ticks: u32,
}

impl Pulse {
    /// Takes in a tick's reading; true when there was no beat for too long.
    fn is_lost(&mut self, beats: u64) -> bool {
        self.silent_ticks = if beats == self.last { self.silent_ticks + 1 } else { 0 };
        self.last = beats;
        self.silent_ticks >= STUCK_TICKS
    }
}

impl Watched {
    fn run(&self, stopped: &mpsc::Receiver<()>) {
        let mut pulse = Pulse::default();
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
            self.tell_stalls();
            let is_stuck = pulse.is_lost(self.heartbeat.0.load(Ordering::Relaxed));
            if self.is_exiting && is_stuck {
                self.exit();
            }
        }
    }

    fn tell_stalls(&self) {
        for (turn, duration) in self.stall.stalled() {
            let Envelope { id, sequence, attempt, .. } = &*turn.envelope;
            let run = Run { queue: &turn.queue, kind: turn.kind, id, sequence: *sequence, attempt: *attempt };
            self.observers.emit(&Observation::Overdue {
                run,
                duration,
                what: "it blocks its async thread; say `blocking` in its #[job(…)] and implement PerformBlocking",
            });
        }
    }

    fn exit(&self) -> ! {
        let kinds: Vec<&str> = self.stall.polling().iter().map(|turn| turn.kind).collect();
        let error = format!("the runtime has not turned for a minute; its threads run: {}", kinds.join(", "));
        let component = "runtime";
        self.observers.emit(&Observation::ComponentFailed { component, error: &error, failures: 1 });
        std::process::exit(EXIT_STUCK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_without_a_beat_is_too_long_and_one_beat_is_enough() {
        let mut pulse = Pulse::default();
        assert!(!pulse.is_lost(1));
        assert!((1..STUCK_TICKS).all(|_| !pulse.is_lost(1)));
        assert!(!pulse.is_lost(2));
        assert!((1..STUCK_TICKS).all(|_| !pulse.is_lost(2)));
        assert!(pulse.is_lost(2));
    }
}

//! Notices handlers that hold an async thread: each poll leaves a note on its thread, and a monitor reads the notes.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use job_core::clock::Clock;
use job_core::envelope::Envelope;
use job_core::name::QueueName;

/// A poll that takes longer than this is told of, once.
pub(crate) const STALL_MIN: Duration = Duration::from_secs(1);

/// The notes of all threads that poll runs of one worker; cloning it is cheap.
#[derive(Clone)]
pub(crate) struct StallWatch(Arc<Shared>);

struct Shared {
    clock: Clock,
    threads: Mutex<Vec<Arc<Note>>>,
}

/// What a thread is polling.
type Note = Mutex<Option<Polling>>;

struct Polling {
    turn: Turn,
    since: Instant,
    is_told: bool,
}

/// Which run is polled.
#[derive(Clone)]
pub(crate) struct Turn {
    pub(crate) kind: &'static str,
    pub(crate) queue: QueueName,
    pub(crate) envelope: Arc<Envelope>,
}

/// A poll under way; the note is wiped when this is dropped.
pub(crate) struct Watched(Arc<Note>);

thread_local! {
    /// This thread's note, and whose it is: a process may have several workers.
    static NOTE: RefCell<Option<(Weak<Shared>, Arc<Note>)>> = const { RefCell::new(None) };
}

impl StallWatch {
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared { clock, threads: Mutex::new(Vec::new()) }))
    }

    /// Notes that this thread polls a run.
    pub(crate) fn enter(&self, turn: &Turn) -> Watched {
        let note = NOTE.with_borrow_mut(|own| match own {
            Some((watch, note)) if std::ptr::eq(watch.as_ptr(), Arc::as_ptr(&self.0)) => Arc::clone(note),
            _ => {
                let note = Arc::new(Note::default());
                let mut notes = lock(&self.0.threads);
                // Only this list still holds the notes of threads that have ended.
                notes.retain(|note| Arc::strong_count(note) > 1);
                notes.push(Arc::clone(&note));
                *own = Some((Arc::downgrade(&self.0), Arc::clone(&note)));
                note
            }
        });
        *lock(&note) = Some(Polling { turn: turn.clone(), since: self.0.clock.monotonic(), is_told: false });
        Watched(note)
    }

    /// Returns the polls that take longer than [`STALL_MIN`], each once.
    pub(crate) fn stalled(&self) -> Vec<(Turn, Duration)> {
        let now = self.0.clock.monotonic();
        let notes = lock(&self.0.threads);
        let tell = |note: &Arc<Note>| {
            let mut note = lock(note);
            let polling = note.as_mut()?;
            let duration = now - polling.since;
            let is_new = duration >= STALL_MIN && !polling.is_told;
            polling.is_told |= is_new;
            is_new.then(|| (polling.turn.clone(), duration))
        };
        notes.iter().filter_map(tell).collect()
    }

    /// Returns what all threads are polling, for the last words of a stuck process.
    pub(crate) fn polling(&self) -> Vec<Turn> {
        let notes = lock(&self.0.threads);
        notes.iter().filter_map(|note| lock(note).as_ref().map(|p| p.turn.clone())).collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        *lock(&self.0) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds a note")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_poll_is_told_of_once() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::manual(now);
        let watch = StallWatch::new(clock.clone());
        let kind = job_core::name::Kind::parse("a").unwrap();
        let envelope = Envelope::new(job_core::name::JobId::new(now), kind, Vec::new(), now);
        let queue = QueueName::parse("q").unwrap();
        let turn = Turn { kind: "a", queue, envelope: Arc::new(envelope) };
        let watched = watch.enter(&turn);
        assert!(watch.stalled().is_empty());
        clock.advance(STALL_MIN);
        assert_eq!(watch.stalled().len(), 1);
        assert!(watch.stalled().is_empty());
        drop(watched);
        let _again = watch.enter(&turn);
        clock.advance(STALL_MIN);
        assert_eq!(watch.stalled().len(), 1);
    }
}

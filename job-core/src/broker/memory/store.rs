//! The state in memory behind its one lock, and the bell that rings after each change.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};

use crate::broker::memory::state::{ProcessId, State};

/// What the processes of a store share.
pub(super) struct Store {
    pub(super) clock: Clock,
    state: Mutex<State>,
    bell: watch::Sender<()>,
}

impl Store {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default(), bell: watch::Sender::new(()) }
    }

    /// Changes the state, then wakes all who wait for a change.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let result = change(&mut self.lock(), self.clock.now());
        self.bell.send_replace(());
        result
    }

    /// Changes the state as a process, while it has not closed.
    pub(super) fn update_as<T>(
        &self,
        process: ProcessId,
        change: impl FnOnce(&mut State, Timestamp) -> Result<T>,
    ) -> Result<T> {
        self.update(|state, now| {
            check_alive(state, process)?;
            change(state, now)
        })
    }

    /// Reads the state as a process, while it has not closed.
    pub(super) fn read_as<T>(&self, process: ProcessId, read: impl FnOnce(&State, Timestamp) -> T) -> Result<T> {
        let state = self.lock();
        check_alive(&state, process)?;
        Ok(read(&state, self.clock.now()))
    }

    /// Locks the state for a change that nobody waits for.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the state")
    }

    /// Returns a receiver that sees each change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }
}

/// Waits for the next change; one since the last look counts.
pub(super) async fn changed(changes: &mut watch::Receiver<()>) {
    changes.changed().await.expect("the store outlives those who hold it");
}

fn check_alive(state: &State, process: ProcessId) -> Result<()> {
    if state.is_alive(process) { Ok(()) } else { Err(Error::unavailable("the memory broker is closed")) }
}

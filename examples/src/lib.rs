//! What the examples share.

use std::io::Result;

use job_worker::StopHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// Lets a worker finish what it runs when INT (Ctrl-C) or TERM comes; a second one stops it at once. The process
/// listens from when this returns until the task ends.
///
/// A worker binary made with `job_worker::main` does this by itself.
///
/// # Errors
/// When the process cannot listen to signals.
pub fn stop_on_signals(stop: StopHandle) -> Result<JoinHandle<()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        let mut is_first = true;
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if is_first {
                stop.drain();
            } else {
                stop.release();
            }
            is_first = false;
        }
    }))
}

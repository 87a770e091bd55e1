//! From Unix signals to the worker's stop: TERM and INT drain, a second one releases, TSTP is quiet, CONT resumes.

use job_core::error::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::shutdown::StopHandle;

/// The signals that a worker's process listens to. [`main`](crate::main) does this by itself; a program that embeds a
/// worker may: `tokio::spawn(Signals::install()?.pass_to(worker.stop_handle()))`.
pub struct Signals {
    term: Signal,
    int: Signal,
    stop: Signal,
    resume: Signal,
}

impl Signals {
    /// Takes the signals over from the operating system's defaults.
    ///
    /// # Errors
    /// When the system refuses, or there is no tokio runtime with I/O enabled.
    pub fn install() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|e| Error::unavailable("cannot listen to signals").caused_by(e));
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            stop: listen(SignalKind::from_raw(libc::SIGTSTP))?,
            resume: listen(SignalKind::from_raw(libc::SIGCONT))?,
        })
    }

    /// Passes signals on, for ever.
    pub async fn pass_to(mut self, stop: StopHandle) {
        loop {
            tokio::select! {
                _ = self.term.recv() => end(&stop),
                _ = self.int.recv() => end(&stop),
                _ = self.stop.recv() => stop.quiet(),
                _ = self.resume.recv() => stop.resume(),
            }
        }
    }
}

fn end(stop: &StopHandle) {
    if stop.is_draining() {
        stop.release();
    } else {
        stop.drain();
    }
}

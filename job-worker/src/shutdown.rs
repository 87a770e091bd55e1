//! The stop of a worker as a state that its parts wait for: running, quiet, draining, and the end of patience.
//!
//! Only moves; what a phase means is done by those who wait. A stop never goes back to running.

use job_core::observation::Phase;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Asks a worker to pause or to stop; cloning it is cheap.
#[derive(Clone, Debug)]
pub struct StopHandle {
    phase: watch::Sender<Phase>,
    cancel: CancellationToken,
    abort: CancellationToken,
}

impl StopHandle {
    pub(crate) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Running),
            cancel: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }

    /// Takes no new jobs until [`resume`](Self::resume); what runs goes on.
    pub fn quiet(&self) {
        self.step(Phase::Running, Phase::Quiet);
    }

    /// Takes jobs again after [`quiet`](Self::quiet).
    pub fn resume(&self) {
        self.step(Phase::Quiet, Phase::Running);
    }

    /// Starts no job any more, lets running ones finish within the grace, and stops.
    pub fn drain(&self) {
        self.phase.send_if_modified(|phase| {
            let is_new = matches!(phase, Phase::Running | Phase::Quiet);
            if is_new {
                *phase = Phase::Draining;
            }
            is_new
        });
    }

    /// Drains without grace: running jobs are dropped and go back without using an attempt.
    pub fn release(&self) {
        self.drain();
        self.cancel.cancel();
        self.abort.cancel();
    }

    /// Returns the phase.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn is_draining(&self) -> bool {
        !matches!(self.phase(), Phase::Running | Phase::Quiet)
    }

    /// Waits until the phase is, or was left for something later than, `Running`; false when it is draining.
    pub(crate) async fn wait_running(&self) -> bool {
        let mut phases = self.phase.subscribe();
        let phase = phases.wait_for(|phase| *phase != Phase::Quiet).await;
        phase.is_ok_and(|phase| *phase == Phase::Running)
    }

    /// Waits until no new job may be taken.
    pub(crate) async fn wait_not_running(&self) {
        let mut phases = self.phase.subscribe();
        // The sender is `self`: it cannot be gone while this waits.
        let _ = phases.wait_for(|phase| *phase != Phase::Running).await;
    }

    /// Waits until the phase is another than `phase`, and returns it.
    pub(crate) async fn wait_changed(&self, phase: Phase) -> Phase {
        let mut phases = self.phase.subscribe();
        phases.wait_for(|now| *now != phase).await.map_or(phase, |now| *now)
    }

    /// Waits until the worker drains.
    pub(crate) async fn wait_draining(&self) {
        let mut phases = self.phase.subscribe();
        let _ = phases.wait_for(|phase| !matches!(phase, Phase::Running | Phase::Quiet)).await;
    }

    /// What handlers see as `cx.cancelled()`.
    pub(crate) fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Ends the runs that can be dropped.
    pub(crate) fn abort(&self) -> &CancellationToken {
        &self.abort
    }

    fn step(&self, from: Phase, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let is_from = *phase == from;
            if is_from {
                *phase = to;
            }
            is_from
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_quiet_worker_resumes_and_a_draining_one_does_not() {
        let stop = StopHandle::new();
        stop.quiet();
        stop.wait_not_running().await;
        stop.resume();
        assert!(stop.wait_running().await);
        stop.drain();
        stop.resume();
        stop.quiet();
        assert_eq!(stop.phase(), Phase::Draining);
        assert!(!stop.wait_running().await);
        stop.wait_draining().await;
        assert!(!stop.abort().is_cancelled());
    }

    #[test]
    fn a_release_cancels_what_runs() {
        let stop = StopHandle::new();
        stop.release();
        assert!(stop.is_draining() && stop.cancel().is_cancelled() && stop.abort().is_cancelled());
    }
}

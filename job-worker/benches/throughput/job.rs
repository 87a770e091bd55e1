//! The jobs that are measured, and what watches them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use job_core::observation::{FinishedOutcome, Observation, Observer};
use job_core::{Context, Event, Job, JobError, Perform};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Does nothing, and is about 150 bytes long; as an event, it goes to whoever is bound to the fanout.
#[derive(Job, Event, Serialize, Deserialize)]
#[event(fanout = "noops")]
pub(crate) struct Noop {
    account: u64,
    sender: String,
    recipient: String,
    subject: String,
    template: String,
}

impl Noop {
    pub(crate) fn new(account: usize) -> Self {
        Self {
            account: account as u64,
            sender: "accounts@example.org".into(),
            recipient: "somebody.else@example.com".into(),
            subject: "Your invoice of November".into(),
            template: "invoice".into(),
        }
    }

    /// Returns it as the raw programs store it.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text and a number")
    }
}

impl Perform for Noop {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

/// Does nothing either, but gives others a turn before it ends.
#[derive(Job, Serialize, Deserialize)]
pub(crate) struct Waiting(Noop);

impl Waiting {
    pub(crate) fn new(account: usize) -> Self {
        Self(Noop::new(account))
    }
}

impl Perform for Waiting {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// Counts completed runs, and tells when there were enough.
pub(crate) struct Tally {
    left: AtomicUsize,
    pub(crate) over: Notify,
}

impl Tally {
    pub(crate) fn new(jobs: usize) -> Self {
        Self { left: AtomicUsize::new(jobs), over: Notify::new() }
    }
}

impl Observer for Tally {
    fn observe(&self, observation: &Observation<'_>) {
        let Observation::Finished { outcome, .. } = observation else { return };
        assert_eq!(*outcome, FinishedOutcome::Completed, "a job that does nothing has failed");
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.over.notify_one();
        }
    }
}

/// Notes how long it took from before it was stored until it started.
#[derive(Job, Serialize, Deserialize)]
#[job(state(std::sync::Arc<Arrivals>))]
pub(crate) struct Probe {
    sent_nanos: u64,
    filling: String,
}

/// When probes started.
pub(crate) struct Arrivals {
    begun: Instant,
    late: Mutex<Vec<Duration>>,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), late: Mutex::default() }
    }

    /// Makes a probe that is sent now.
    pub(crate) fn probe(&self) -> Probe {
        let sent_nanos = u64::try_from(self.begun.elapsed().as_nanos()).expect("a short measurement");
        Probe { sent_nanos, filling: "x".repeat(110) }
    }

    pub(crate) fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.late.lock().expect("no panic while it is held"))
    }
}

impl Perform for Probe {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let arrivals: &std::sync::Arc<Arrivals> = cx.state();
        let late = arrivals.begun.elapsed() - Duration::from_nanos(self.sent_nanos);
        arrivals.late.lock().expect("no panic while it is held").push(late);
        Ok(())
    }
}

//! Jobs that were read and cannot run yet: in line for their kind, for as long as the broker lets them be held.

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::{Delivery, Outcome};
use job_core::clock::later;
use job_core::envelope::Envelope;

use crate::executor::{Admitted, Executor, Job};
use crate::hold::line_max;
use crate::kind_limit::Place;
use crate::roster::Route;
use crate::slots::Slot;

/// How long a job waits that found its kind's line full: about as long as it takes the line to move.
const LINE_FULL_DELAY: Duration = Duration::from_secs(1);

/// Why a job goes back that waited in line.
const WAITED: &str = "it has waited here for long, and may be run sooner elsewhere";

impl Executor {
    /// Puts back what was read and not begun.
    pub(crate) fn put_back(self: &Arc<Self>, delivery: Delivery) {
        let held = self.in_flight.hold();
        let has_died = delivery.redeliveries > 0;
        self.store_again(Job::new(delivery, held), has_died);
    }

    /// Stores a job as it is. Given back, it would count as one whose process has died, which is true only of one that was
    /// counted before: that count must not be lost.
    pub(super) fn store_again(self: &Arc<Self>, job: Job, has_died: bool) {
        if has_died {
            return self.settle_in_background(job, Outcome::Release);
        }
        let envelope = Envelope::clone(&job.envelope);
        let at = envelope.runnable_since();
        self.settle_in_background(job, Outcome::Later { at, envelope });
    }

    /// Sends a job back that cannot run here soon, without counting that as anything.
    pub(super) fn go_back(self: &Arc<Self>, job: Job, reason: &str) {
        let delay = LINE_FULL_DELAY.mul_f64(0.5 + fastrand::f64());
        let at = later(self.clock.now(), delay);
        let mut envelope = Envelope::clone(&job.envelope);
        envelope.not_before = Some(at);
        self.put_aside(job, reason, Outcome::Later { at, envelope });
    }

    /// Ends when a job that waits in line should go back, lest the broker takes it away; never where none does.
    pub(super) async fn waited_too_long(&self) {
        match self.client.broker().capabilities().hold_max {
            Some(hold_max) => self.clock.sleep(line_max(hold_max)).await,
            None => std::future::pending().await,
        }
    }

    /// Waits for the kind's limit, and runs then.
    pub(super) async fn wait_in_line(self: Arc<Self>, job: Job, route: Arc<Route>, slot: Slot, place: Place) {
        if let Some((job, permit, slot)) = self.wait_aside(job, slot, place.permit()).await {
            self.launch(Admitted { job, route, slot: Some(slot), permit: Some(permit) }).await;
        }
    }

    /// Waits for a turn, and for a slot then: without one until there, so that other jobs can have it. `None` when the job
    /// goes back instead, because the worker stops or because it has waited too long.
    pub(super) async fn wait_aside<T>(
        self: &Arc<Self>,
        job: Job,
        slot: Slot,
        turn: impl Future<Output = T>,
    ) -> Option<(Job, T, Slot)> {
        let (slots, queue) = (Arc::clone(slot.slots()), slot.queue());
        drop(slot);
        let turn = async { (turn.await, slots.acquire(queue, 1).await.pop()) };
        tokio::select! {
            biased;
            () = self.stop.wait_draining() => {}
            (turn, slot) = turn => {
                if let Some(slot) = slot {
                    return Some((job, turn, slot));
                }
            }
            () = self.waited_too_long() => {
                self.go_back(job, WAITED);
                return None;
            }
        }
        self.settle_in_background(job, Outcome::Release);
        None
    }
}

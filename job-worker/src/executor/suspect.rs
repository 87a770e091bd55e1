//! The suspect lane: what may have ended its process runs alone, so that a further death tells which job it was.
//!
//! Before such a run the job is stored with `crashes + 1`; whatever the run's outcome is puts the old value back. So only
//! the death of the process leaves the count, and jobs that merely shared a process are not blamed.

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::{Delivery, Outcome, Outgoing};
use job_core::envelope::{DeathReason, Envelope};
use tokio::sync::OwnedRwLockWriteGuard;

use crate::executor::{Admitted, Company, Executor, Job, guard};
use crate::roster::Route;
use crate::slots::Slot;

/// Runs alone that end with the death of the process, after which a job is dead.
const CRASHES_MAX: u32 = 3;

/// How long the move of a job to the lane waits for the one that runs alone. What ends its process does so soon; a job of
/// hours must not keep others from their move.
const MOVE_WAIT_MAX: Duration = Duration::from_secs(2);

/// What became of a delivery of the lane.
pub(crate) enum Lane {
    /// It is stored with its next crash counted, and is delivered again at once.
    Armed(OwnedRwLockWriteGuard<()>),
    /// It has run, or never will.
    Over,
}

impl Executor {
    /// Moves a job to its queue's suspect lane, and lets nothing run alone meanwhile: the death of this process in the
    /// middle of the move can leave two of the job, where a broker does not store and forget in one step.
    pub(super) fn nominate(self: &Arc<Self>, mut job: Job) {
        if let Ok(guard) = Arc::clone(&self.lane).try_read_owned() {
            job.company = Company::NoLane(guard);
            return self.move_to_lane(job);
        }
        let executor = Arc::clone(self);
        tokio::spawn(async move { executor.nominate_behind_lane(job).await });
    }

    async fn nominate_behind_lane(self: Arc<Self>, mut job: Job) {
        let lane = Arc::clone(&self.lane).read_owned();
        tokio::select! {
            biased;
            () = self.stop.wait_draining() => {}
            guard = self.clock.timeout(MOVE_WAIT_MAX, lane) => {
                job.company = guard.map_or(Company::Any, Company::NoLane);
            }
        }
        self.move_to_lane(job);
    }

    fn move_to_lane(self: &Arc<Self>, job: Job) {
        let lane = job.queue.suspect();
        let then = vec![Outgoing::only(lane, Envelope::clone(&job.envelope))];
        let reason = "the processes that held it died; it runs alone from now on";
        self.tell_put_aside(&job, reason, self.clock.now());
        self.settle_in_background(job, Outcome::Done { then });
    }

    /// Runs a job for which processes died beside everything but the lane: it must not be taken for the lane's job when
    /// it ends the process.
    pub(super) async fn admit_beside_lane(self: &Arc<Self>, mut job: Job, route: Arc<Route>, slot: Slot) {
        if let Ok(guard) = Arc::clone(&self.lane).try_read_owned() {
            job.company = Company::NoLane(guard);
            return self.admit(job, route, slot).await;
        }
        let executor = Arc::clone(self);
        tokio::spawn(async move { executor.wait_for_lane(job, route, slot).await });
    }

    async fn wait_for_lane(self: Arc<Self>, job: Job, route: Arc<Route>, slot: Slot) {
        let lane = Arc::clone(&self.lane).read_owned();
        if let Some((mut job, guard, slot)) = self.wait_aside(job, slot, lane).await {
            job.company = Company::NoLane(guard);
            self.admit(job, route, slot).await;
        }
    }

    /// Runs a delivery of the lane, or prepares its run. The caller waits for the end, and has no other one meanwhile.
    pub(crate) async fn run_suspect(self: Arc<Self>, delivery: Delivery, alone: OwnedRwLockWriteGuard<()>) -> Lane {
        let held = self.in_flight.hold();
        let checked = guard::check(&delivery, &self.roster, &self.limits).cloned();
        let has_died = delivery.redeliveries > 0;
        let mut job = Job::new(delivery, held);
        if self.stop.is_draining() {
            self.store_again(job, has_died);
            return Lane::Over;
        }
        let route = match checked {
            Ok(route) => route,
            Err(refusal) => {
                self.turn_away(job, refusal);
                return Lane::Over;
            }
        };
        let details = &job.envelope.details;
        match (details.is_armed, has_died) {
            (true, true) if details.crashes >= CRASHES_MAX => {
                let error = format!("its process died in each of {CRASHES_MAX} runs alone");
                let outcome = self.refusal_of(&job, DeathReason::Poison, &error);
                // Here: no other job for which processes died is to end this one in the middle of it.
                self.settle_unrun(job, outcome).await;
                Lane::Over
            }
            (true, false) => {
                job.company = Company::Alone(alone);
                job.envelope = Arc::new(disarmed(&job.envelope));
                self.run_alone(job, route).await;
                Lane::Over
            }
            _ => {
                self.arm(job).await;
                Lane::Armed(alone)
            }
        }
    }

    async fn run_alone(self: &Arc<Self>, job: Job, route: Arc<Route>) {
        // It may end this process, and what that has settled is not to run again for it.
        self.client.broker().flush().await;
        let permit = match &route.limit {
            None => None,
            Some(limit) => Some(limit.permit().await),
        };
        // Both waits may have been long.
        if self.stop.is_draining() {
            return self.store_again(job, false);
        }
        if let Some(settling) = Arc::clone(self).run(Admitted { job, route, slot: None, permit }).await {
            self.follow_here(settling).await;
        }
    }

    /// Stores a job as it was before it was stored for its run: that cannot begin here now.
    pub(crate) fn disarm(self: &Arc<Self>, delivery: Delivery) {
        let held = self.in_flight.hold();
        let mut job = Job::new(delivery, held);
        job.envelope = Arc::new(disarmed(&job.envelope));
        self.store_again(job, false);
    }

    /// Stores the job with its next crash counted, before the run that may cause it.
    async fn arm(self: &Arc<Self>, job: Job) {
        let mut envelope = Envelope::clone(&job.envelope);
        envelope.details.crashes = envelope.details.crashes.saturating_add(1);
        envelope.details.is_armed = true;
        // The instant that it had, or an older one: it is the next to be delivered.
        let at = envelope.runnable_since();
        self.settle_unrun(job, Outcome::Later { at, envelope }).await;
    }
}

/// The envelope as it is again when the process survives the run.
fn disarmed(envelope: &Envelope) -> Envelope {
    let mut envelope = envelope.clone();
    // Saturating: a store may hold what we did not write.
    envelope.details.crashes = envelope.details.crashes.saturating_sub(1);
    envelope.details.is_armed = false;
    envelope
}

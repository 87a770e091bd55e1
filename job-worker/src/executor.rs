//! Turns one delivery into one settled outcome. Never retries settling: a lost delivery means someone else owns the job.
//!
//! Decode, guard, middleware, timeout, caught panic, verdict, settle, observe: in this order, and each exactly once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use job_core::broker::{BoxFuture, Delivery, Outcome, Outgoing, Settle};
use job_core::client::Client;
use job_core::clock::{Clock, Timestamp};
use job_core::context::{Parts, States};
use job_core::envelope::{DeathReason, Envelope};
use job_core::error::Error;
use job_core::name::QueueName;
use job_core::observation::{FinishedOutcome, Observation, Observers, Run};
use job_core::registry::Work;
use job_core::sabotage::fail_point;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock};

use crate::in_flight::{Held, InFlight};
use crate::kind_limit::Admission;
use crate::middleware::Middleware;
use crate::roster::{Roster, Route};
use crate::sabotage;
use crate::shutdown::StopHandle;
use crate::slots::Slot;
use crate::verdict::{self, Ending, Policy, Verdict};

mod attempt;
mod guard;
mod settling;
pub(crate) mod stall;
pub(crate) mod suspect;
mod waiting;

use settling::{Ended, Settling};
use stall::Turn;

pub(crate) use guard::Limits;
pub(crate) use settling::Line;

/// What every run of a worker shares.
pub(crate) struct Executor {
    pub(crate) roster: Roster,
    pub(crate) states: States,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) observers: Observers,
    pub(crate) middleware: Arc<[Arc<dyn Middleware>]>,
    pub(crate) limits: Limits,
    pub(crate) stop: StopHandle,
    pub(crate) in_flight: InFlight,
    /// Outcomes that are being recorded.
    pub(crate) line: Line,
    /// Runs that were dropped because the worker stopped.
    pub(crate) interrupted: AtomicUsize,
    pub(crate) stall: stall::StallWatch,
    /// Written by the suspect lane, read by other runs of jobs for which processes died.
    pub(crate) lane: Arc<RwLock<()>>,
}

/// A delivery without its acknowledger, so that it can be read while that is used.
struct Job {
    envelope: Arc<Envelope>,
    queue: QueueName,
    settle: Box<dyn Settle>,
    /// What keeps suspects apart from each other; until the outcome is recorded.
    company: Company,
    /// Dropped last: a stop waits for it.
    held: Held,
}

/// Beside what a job may run.
enum Company {
    /// Anything.
    Any,
    /// Anything but a suspect that runs alone: processes died while they held this job.
    NoLane(#[expect(dead_code, reason = "it is held, not read")] OwnedRwLockReadGuard<()>),
    /// No other job for which processes died: it runs alone.
    Alone(#[expect(dead_code, reason = "it is held, not read")] OwnedRwLockWriteGuard<()>),
}

/// A job that may run.
struct Admitted {
    job: Job,
    route: Arc<Route>,
    /// `None` in the suspect lane, which has a place of its own.
    slot: Option<Slot>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Executor {
    /// Begins to run a delivery in a slot. Returns once it waits for something, or has gone on to a task of its own.
    pub(crate) async fn start(self: &Arc<Self>, delivery: Delivery, slot: Slot) {
        let held = self.in_flight.hold();
        let checked = guard::check(&delivery, &self.roster, &self.limits).cloned();
        let has_killed = delivery.redeliveries > 0;
        let mut job = Job::new(delivery, held);
        if let Ok(route) = &checked
            && route.is_ephemeral()
        {
            // The name by which people know it: that of the queue is another one in each process.
            job.queue = route.place.name.clone();
        }
        if self.stop.is_draining() && !sabotage::ignores_stop() {
            return self.settle_in_background(job, Outcome::Release);
        }
        match checked {
            Ok(route) if has_killed => self.admit_beside_lane(job, route, slot).await,
            Ok(route) => self.admit(job, route, slot).await,
            Err(refusal) => self.turn_away(job, refusal),
        }
    }

    fn turn_away(self: &Arc<Self>, job: Job, refusal: guard::Refusal) {
        match refusal {
            guard::Refusal::Dead(reason, error) => self.refuse(job, reason, error),
            guard::Refusal::Park(reason) => self.park(job, &reason),
            guard::Refusal::Suspect => self.nominate(job),
        }
    }

    async fn admit(self: &Arc<Self>, job: Job, route: Arc<Route>, slot: Slot) {
        match route.limit.as_ref().map(|limit| limit.admit()) {
            None => self.launch(Admitted { job, route, slot: Some(slot), permit: None }).await,
            Some(Admission::Run(permit)) => {
                self.launch(Admitted { job, route, slot: Some(slot), permit: Some(permit) }).await;
            }
            Some(Admission::Wait(place)) => {
                let executor = Arc::clone(self);
                tokio::spawn(async move { executor.wait_in_line(job, route, slot, place).await });
            }
            Some(Admission::GoBack) => self.go_back(job, "its kind runs at its limit"),
        }
    }

    /// Polls a quick kind's run where it is, and spawns it if it waits; a slow kind's run is spawned at once.
    async fn launch(self: &Arc<Self>, admitted: Admitted) {
        let executor = Arc::clone(self);
        let route = Arc::clone(&admitted.route);
        let mut run: BoxFuture<'static, Option<Settling>> = Box::pin(Arc::clone(self).run(admitted));
        if !route.pace.is_quick() {
            tokio::spawn(async move {
                match poll_first(&executor.clock, &route, run.as_mut()).await {
                    Poll::Ready(settling) => executor.follow_any(settling),
                    Poll::Pending => executor.follow_any(run.await),
                }
            });
            return;
        }
        match poll_first(&self.clock, &route, run.as_mut()).await {
            Poll::Ready(settling) => self.follow_any(settling),
            Poll::Pending => drop(tokio::spawn(async move { executor.follow_any(run.await) })),
        }
    }

    fn follow_any(self: &Arc<Self>, settling: Option<Settling>) {
        if let Some(settling) = settling {
            self.follow(settling);
        }
    }

    /// Runs a job, and begins to record what comes of it.
    fn run(self: Arc<Self>, admitted: Admitted) -> impl Future<Output = Option<Settling>> + Send {
        // Out of the future: it would have room for all of this twice, and there is one of each job.
        let Admitted { mut job, route, slot, permit } = admitted;
        async move {
            let now = self.clock.now();
            // Here and not on arrival: it may have waited since, for its kind's limit.
            if let Err(error) = guard::check_expiry(&job.envelope, &route.options, now) {
                self.refuse(job, DeathReason::Expired, error);
                return None;
            }
            let (work, around) = match self.decode(&job.envelope, &job.queue, &route) {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.refuse(job, DeathReason::Undecodable, error);
                    return None;
                }
            };
            let run = run_of(&job, route.kind);
            let wait = (now - job.envelope.runnable_since()).to_std().unwrap_or_default();
            self.observers.emit(&Observation::Started { run, wait });
            fail_point("run.begun");
            job.settle = sabotage::before_run(job.settle);
            let begun = self.clock.monotonic();
            let turn = Turn { kind: route.kind, queue: job.queue.clone(), envelope: Arc::clone(&job.envelope) };
            let ending = attempt::attempt(&self, &route, turn, around, work).await;
            let duration = self.clock.monotonic() - begun;
            fail_point("run.ended");
            if matches!(ending, Ending::Interrupted) {
                self.interrupted.fetch_add(1, Ordering::Relaxed);
            }
            // The handler has returned: the next job may have the slot while this one's outcome is recorded.
            drop((slot, permit));
            let policy = Policy {
                max_attempts: job.envelope.details.max_attempts.unwrap_or(route.options.max_attempts),
                backoff: route.options.backoff,
            };
            let verdict = verdict::decide(ending, &job.envelope, policy, self.clock.now(), fastrand::f64());
            let verdict = if route.is_ephemeral() { verdict.forgetting() } else { verdict };
            Some(settle(job, route.kind, verdict, duration))
        }
    }

    fn observe_enqueued(&self, message: &Outgoing) {
        if let (Some(queue), Some(kind)) = (message.target.queue(), &message.envelope.kind) {
            self.observers.emit(&Observation::Enqueued { queue, kind, id: &message.envelope.id });
        }
    }

    /// Decodes an envelope and runs it once, as [`start`](Self::start) does, without a delivery to settle.
    ///
    /// # Errors
    /// Says why this worker cannot run it, where another might.
    pub(crate) async fn run_once(&self, envelope: Envelope, queue: QueueName) -> Result<Ending, String> {
        let route = match guard::check_envelope(&envelope, &queue, &self.roster, &self.limits) {
            Ok(route) => Arc::clone(route),
            Err(guard::Refusal::Dead(reason, error)) => return Ok(Ending::Unrunnable(reason, error)),
            Err(guard::Refusal::Park(reason)) => return Err(reason),
            Err(guard::Refusal::Suspect) => return Err("it is suspected of ending its process".into()),
        };
        if let Err(error) = guard::check_expiry(&envelope, &route.options, self.clock.now()) {
            return Ok(Ending::Unrunnable(DeathReason::Expired, error));
        }
        let envelope = Arc::new(envelope);
        Ok(match self.decode(&envelope, &queue, &route) {
            Ok((work, around)) => {
                let turn = Turn { kind: route.kind, queue, envelope };
                attempt::attempt(self, &route, turn, around, work).await
            }
            Err(error) => Ending::Unrunnable(DeathReason::Undecodable, error),
        })
    }

    /// Decodes a payload into its run, and returns what code around that run is given, where there is any.
    fn decode(
        &self,
        envelope: &Arc<Envelope>,
        queue: &QueueName,
        route: &Route,
    ) -> Result<(Work, Option<Box<Parts>>), String> {
        let parts = self.parts(envelope, queue, route);
        let has_code_around = route.options.is_blocking || !self.middleware.is_empty();
        let around = has_code_around.then(|| Box::new(parts.clone()));
        match attempt::catch(|| (route.handler)(parts)) {
            Ok(Ok(work)) => Ok((work, around)),
            Ok(Err(error)) => Err(format!("the payload does not decode as \"{}\": {error}", route.kind)),
            Err(panic) => Err(format!("decoding panicked: {panic}")),
        }
    }

    fn parts(&self, envelope: &Arc<Envelope>, queue: &QueueName, route: &Route) -> Parts {
        let cancellation = if route.options.is_blocking {
            // Only a thread needs a signal of its own: a future is dropped.
            self.stop.cancel().child_token()
        } else {
            self.stop.cancel().clone()
        };
        Parts {
            envelope: Arc::clone(envelope),
            queue: queue.clone(),
            max_attempts: envelope.details.max_attempts.unwrap_or(route.options.max_attempts),
            states: self.states.clone(),
            client: self.client.child_of(envelope),
            cancellation,
        }
    }

    fn refuse(self: &Arc<Self>, job: Job, reason: DeathReason, error: String) {
        let outcome = self.refusal_of(&job, reason, &error);
        self.settle_in_background(job, outcome);
    }

    /// Tells that a job is dead without a run, and returns what is to be recorded of it.
    fn refusal_of(&self, job: &Job, reason: DeathReason, error: &str) -> Outcome {
        self.observers.emit(&Observation::Refused { run: run_of(job, job.envelope.kind_str()), reason, error });
        let mut envelope = Envelope::clone(&job.envelope);
        envelope.declare_dead(self.clock.now(), reason, error);
        Outcome::Dead { envelope }
    }

    fn park(self: &Arc<Self>, job: Job, reason: &str) {
        let verdict = verdict::park(&job.envelope, self.clock.now(), reason);
        match verdict.finished {
            FinishedOutcome::Dead(death) => self.refuse(job, death, reason.to_owned()),
            _ => self.put_aside(job, reason, verdict.outcome),
        }
    }

    fn put_aside(self: &Arc<Self>, job: Job, reason: &str, outcome: Outcome) {
        if let Outcome::Later { at, .. } = &outcome {
            self.tell_put_aside(&job, reason, *at);
        }
        self.settle_in_background(job, outcome);
    }

    fn tell_put_aside(&self, job: &Job, reason: &str, back_at: Timestamp) {
        let run = run_of(job, job.envelope.kind_str());
        self.observers.emit(&Observation::Parked { run, reason, back_at });
    }

    /// Settles without holding up the deliveries behind.
    fn settle_in_background(self: &Arc<Self>, job: Job, outcome: Outcome) {
        drop(tokio::spawn(self.settle_unrun(job, outcome)));
    }

    /// Begins to record the outcome of a job that did not run; the future ends when it is recorded.
    fn settle_unrun(self: &Arc<Self>, job: Job, outcome: Outcome) -> impl Future<Output = ()> + Send + use<> {
        let executor = Arc::clone(self);
        let Job { envelope, queue, settle, company, held } = job;
        let settled = settle.settle(outcome);
        async move {
            if let Err(error) = settled.await {
                executor.tell_settle_failed(&queue, &envelope, &error);
            }
            drop((company, held));
        }
    }

    fn tell_settle_failed(&self, queue: &QueueName, envelope: &Envelope, error: &Error) {
        let Envelope { id, sequence, attempt, .. } = envelope;
        let run = Run { queue, kind: envelope.kind_str(), id, sequence: *sequence, attempt: *attempt };
        self.observers.emit(&Observation::SettleFailed { run, error });
    }
}

impl Job {
    fn new(delivery: Delivery, held: Held) -> Self {
        let Delivery { envelope, queue, settle, .. } = delivery;
        Self { envelope: Arc::new(envelope), queue, settle, company: Company::Any, held }
    }
}

fn run_of<'a>(job: &'a Job, kind: &'a str) -> Run<'a> {
    let Envelope { id, sequence, attempt, .. } = &*job.envelope;
    Run { queue: &job.queue, kind, id, sequence: *sequence, attempt: *attempt }
}

/// Begins to record a verdict.
fn settle(job: Job, kind: &'static str, verdict: Verdict, duration: Duration) -> Settling {
    let back_at = verdict.back_at();
    let Verdict { outcome, finished, error } = verdict;
    let Job { envelope, queue, settle, company, held } = job;
    let followers = match &outcome {
        Outcome::Done { then } => then.clone(),
        _ => Vec::new(),
    };
    let settled = settle.settle(sabotage::outcome(outcome));
    fail_point("settle.begun");
    let holds = (company, held);
    Settling {
        settled,
        ended: Ended { queue, kind, envelope, outcome: finished, followers, duration, error, back_at, holds },
    }
}

async fn poll_first<T>(clock: &Clock, route: &Route, mut run: Pin<&mut (dyn Future<Output = T> + Send)>) -> Poll<T> {
    std::future::poll_fn(|cx| {
        let begun = clock.monotonic();
        let poll = run.as_mut().poll(cx);
        route.pace.record(clock.monotonic() - begun);
        Poll::Ready(poll)
    })
    .await
}

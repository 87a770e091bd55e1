//! One worker: consumes queues, runs jobs, and stops in an orderly way.
//!
//! `main` builds one for a binary of its own; applications that embed a worker use the builder.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use job_core::broker::{Broker, Window};
use job_core::client::Client;
use job_core::clock::Clock;
use job_core::error::{Error, Result};
use job_core::name::QueueName;
use job_core::observation::{Observation, Observers, Phase};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::catalogue;
use crate::config::{QueueConfig, WorkerConfig};
use crate::executor::Executor;
use crate::idle::IdleWatch;
use crate::intake::Intake;
use crate::lane::SuspectIntake;
use crate::monitor::{Heartbeat, Monitor, Watched};
use crate::placement::Placement;
use crate::schedule::plan::Plan;
use crate::scheduler::Scheduler;
use crate::shutdown::StopHandle;
use crate::slots::Slots;
use crate::subscription_log::{self, SIGN_PERIOD};
use crate::supervise::supervise;

mod builder;
mod health;

pub use builder::WorkerBuilder;
pub(crate) use health::WorkerHealth;

/// How long running jobs have after their handlers were told to stop: the grace is over then.
const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// How long the outcomes of dropped runs, and the broker, have to be settled and closed.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

const HEARTBEAT: Duration = Duration::from_secs(1);

/// A worker, checked and ready to run.
pub struct Worker {
    config: WorkerConfig,
    queues: Vec<QueueConfig>,
    placement: Placement,
    client: Client,
    executor: Arc<Executor>,
    intakes: Vec<Arc<Intake>>,
    clock: Clock,
    observers: Observers,
    stop: StopHandle,
    heartbeat: Heartbeat,
    scheduler: Option<Arc<Scheduler>>,
    /// This process is the worker's own, and ends when the runtime is stuck.
    is_main: bool,
}

/// How a worker ended.
#[derive(Debug)]
pub struct Stopped {
    /// Jobs whose runs had not ended when the grace was over. They run again, here or elsewhere.
    pub unfinished: usize,
    /// Why the worker stopped by itself, where it failed.
    pub failure: Option<Error>,
}

impl Worker {
    /// Begins to build a worker.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder::default()
    }

    /// Returns the way to stop it.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Runs until it is told to stop, is idle and was to exit then, or fails. Needs a multi-thread tokio runtime.
    ///
    /// # Errors
    /// When the queues cannot be declared at the start.
    pub async fn run(self) -> Result<Stopped> {
        let consumed: Vec<QueueName> = self.consumed().cloned().collect();
        self.broker().declare(&self.placement.topology(&consumed)).await?;
        self.announce().await;
        let monitor = self.start_monitor()?;
        let mut parts = self.start_parts();
        self.tell(Phase::Running, &self.describe());
        let failure = self.wait_for_stop(&mut parts).await;
        let unfinished = self.drain(&mut parts).await;
        drop(monitor);
        let detail = match unfinished {
            0 => "everything that ran has ended".to_owned(),
            1 => "1 job had not ended and will run again".to_owned(),
            n => format!("{n} jobs had not ended and will run again"),
        };
        self.tell(Phase::Stopped, &detail);
        Ok(Stopped { unfinished, failure })
    }

    /// Writes the kinds and subscriptions that run here into the ledger. Jobs do not wait for that: the worker runs without it too.
    async fn announce(&self) {
        let kinds = self.executor.roster.entries(&self.consumed().collect());
        let announced = catalogue::announce(&*self.broker().ledger(), &self.clock, &kinds).await;
        tell_unwritten(&self.observers, "announcement of kinds", announced);
        let subscriptions = subscription_log::durable(&self.placement, self.consumed(), Some(self.clock.now()));
        let announced = subscription_log::announce(&*self.broker().ledger(), &self.clock, &subscriptions).await;
        tell_unwritten(&self.observers, "announcement of subscriptions", announced);
    }

    /// Says again from time to time that the subscriptions are consumed.
    fn signs_of_life(&self) -> impl Future<Output = Result<()>> + Send + use<> {
        let (broker, clock, observers) = (Arc::clone(self.broker()), self.clock.clone(), self.observers.clone());
        let entries = subscription_log::durable(&self.placement, self.consumed(), None);
        async move {
            loop {
                clock.sleep(SIGN_PERIOD).await;
                let consumed = subscription_log::consumed(&entries, clock.now());
                let announced = subscription_log::announce(&*broker.ledger(), &clock, &consumed).await;
                tell_unwritten(&observers, "announcement of subscriptions", announced);
            }
        }
    }

    fn start_monitor(&self) -> Result<Monitor> {
        let watched = Watched {
            stall: self.executor.stall.clone(),
            observers: self.observers.clone(),
            heartbeat: self.heartbeat.clone(),
            is_exiting: self.is_main,
        };
        Monitor::start(watched).map_err(|e| Error::unavailable("cannot start the monitor thread").caused_by(e))
    }

    /// Starts what runs until the drain: an intake a queue, the heartbeat, and the watch for idleness.
    fn start_parts(&self) -> JoinSet<Result<()>> {
        let mut parts = JoinSet::new();
        for intake in &self.intakes {
            let (intake, clock, observers) = (Arc::clone(intake), self.clock.clone(), self.observers.clone());
            parts.spawn(async move {
                let name = format!("intake of queue \"{}\"", intake.queue.name);
                supervise(&name, &clock, &observers, || {
                    let intake = Arc::clone(&intake);
                    async move { intake.run().await }
                })
                .await
            });
        }
        // Processes do not die of what goes with them: such a queue has no suspects.
        for queue in self.queues.iter().filter(|queue| !self.placement.is_of_process(&queue.name)) {
            let lane = Arc::new(self.suspect_intake(queue.name.suspect()));
            let (clock, observers) = (self.clock.clone(), self.observers.clone());
            parts.spawn(async move {
                let name = format!("suspect lane of queue \"{}\"", lane.queue.work());
                supervise(&name, &clock, &observers, || {
                    let lane = Arc::clone(&lane);
                    async move { lane.run().await }
                })
                .await
            });
        }
        if let Some(scheduler) = &self.scheduler {
            let (scheduler, clock, observers) = (Arc::clone(scheduler), self.clock.clone(), self.observers.clone());
            parts.spawn(async move {
                supervise("scheduler", &clock, &observers, || {
                    let scheduler = Arc::clone(&scheduler);
                    async move { scheduler.run().await }
                })
                .await
            });
        }
        let (heartbeat, clock, stop) = (self.heartbeat.clone(), self.clock.clone(), self.stop.clone());
        parts.spawn(async move {
            while !stop.abort().is_cancelled() {
                heartbeat.beat();
                clock.sleep(HEARTBEAT).await;
            }
            Ok(())
        });
        parts.spawn(self.signs_of_life());
        if self.config.exit_when_idle {
            parts.spawn(self.idle_watch().run());
        }
        parts
    }

    fn scheduler(&self, application: &str, plans: Vec<Plan>) -> Scheduler {
        Scheduler {
            application: application.to_owned(),
            plans,
            client: self.client.clone(),
            clock: self.clock.clone(),
            observers: self.observers.clone(),
            stop: self.stop.clone(),
            is_ended: watch::Sender::new(false),
        }
    }

    fn suspect_intake(&self, queue: QueueName) -> SuspectIntake {
        SuspectIntake {
            broker: Arc::clone(self.broker()),
            executor: Arc::clone(&self.executor),
            stop: self.stop.clone(),
            clock: self.clock.clone(),
            queue,
        }
    }

    fn idle_watch(&self) -> IdleWatch {
        IdleWatch {
            broker: Arc::clone(self.broker()),
            queues: self.queues.iter().map(|q| q.name.clone()).collect(),
            in_flight: self.executor.in_flight.clone(),
            stop: self.stop.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Waits for the stop; a part that failed for good stops the worker too, and is returned.
    async fn wait_for_stop(&self, parts: &mut JoinSet<Result<()>>) -> Option<Error> {
        let mut phase = self.stop.phase();
        loop {
            let failed = tokio::select! {
                biased;
                () = self.stop.wait_draining() => return None,
                changed = self.stop.wait_changed(phase) => {
                    phase = changed;
                    self.tell(phase, "as it was told to");
                    continue;
                }
                Some(ended) = parts.join_next() => ended.unwrap_or_else(|e| Err(Error::rejected(e.to_string()))).err(),
            };
            if failed.is_some() {
                return failed;
            }
        }
    }

    /// Stops in steps, each bounded: grace, the handlers' own end, the end of all that can be dropped.
    async fn drain(&self, parts: &mut JoinSet<Result<()>>) -> usize {
        self.stop.drain();
        let detail = match self.executor.in_flight.count() {
            0 => "nothing runs".to_owned(),
            1 => "1 job runs".to_owned(),
            n => format!("{n} jobs run"),
        };
        self.tell(Phase::Draining, &detail);
        let in_flight = &self.executor.in_flight;
        let drained = self.patiently(self.config.grace, async {
            for intake in &self.intakes {
                intake.wait_stopped().await;
            }
            in_flight.wait_none().await;
            if let Some(scheduler) = &self.scheduler {
                scheduler.wait_ended().await;
            }
        });
        if drained.await.is_none() {
            self.stop.cancel().cancel();
            self.patiently(CANCEL_GRACE, in_flight.wait_none()).await;
        }
        self.stop.release();
        self.clock.timeout(CLOSE_GRACE, in_flight.wait_none()).await;
        parts.abort_all();
        self.clock.timeout(CLOSE_GRACE, self.undeclare_own()).await;
        let unfinished = in_flight.count() + self.executor.interrupted.load(Ordering::Relaxed);
        if self.is_main {
            // An embedded worker leaves the application's connection alone.
            self.clock.timeout(CLOSE_GRACE, self.broker().close()).await;
        }
        unfinished
    }

    /// Waits for `future`, but not longer than `limit`, and not after a release was asked for.
    async fn patiently<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            output = self.clock.timeout(limit, future) => output,
            () = self.stop.abort().cancelled() => None,
        }
    }

    /// Removes what goes with this worker: an application that goes on would gather events for nobody.
    async fn undeclare_own(&self) {
        for queue in self.consumed().filter(|queue| self.placement.is_of_process(queue)) {
            // What is left here is gone with the process.
            let _ = self.broker().undeclare(queue).await;
        }
    }

    fn consumed(&self) -> impl Iterator<Item = &QueueName> {
        self.queues.iter().map(|queue| &queue.name)
    }

    fn broker(&self) -> &Arc<dyn Broker> {
        self.client.broker()
    }

    fn describe(&self) -> String {
        let names: Vec<&str> = self.queue_names().collect();
        format!(
            "{} jobs at once from {} on {}",
            self.config.concurrency,
            names.join(", "),
            self.broker().capabilities().name
        )
    }

    fn tell(&self, phase: Phase, detail: &str) {
        self.observers.emit(&Observation::Phase { phase, detail });
    }

    /// Returns the names of the consumed queues.
    pub(crate) fn queue_names(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(|queue| queue.name.as_str())
    }

    /// Returns queue and kind of each handler.
    pub(crate) fn handled(&self) -> impl Iterator<Item = (&QueueName, &'static str)> {
        self.executor.roster.routes().map(|route| (&route.place.name, route.kind))
    }

    pub(crate) fn health(&self) -> WorkerHealth {
        WorkerHealth { intakes: self.intakes.clone(), stop: self.stop.clone() }
    }
}

/// Tells of something that could not be written into the ledger: the worker runs without it too.
fn tell_unwritten(observers: &Observers, component: &str, written: Result<()>) {
    if let Err(error) = written {
        observers.emit(&Observation::ComponentFailed { component, error: &format!("{error:?}"), failures: 1 });
    }
}

/// Makes the intakes of the queues.
fn intakes(
    queues: &[QueueConfig],
    config: &WorkerConfig,
    broker: &Arc<dyn Broker>,
    executor: &Arc<Executor>,
    stop: &StopHandle,
) -> Vec<Arc<Intake>> {
    let shares: Vec<(u32, Option<usize>)> = queues.iter().map(|q| (q.weight, q.concurrency)).collect();
    let slots = Slots::new(config.concurrency, &shares);
    let intake = |(index, queue): (usize, &QueueConfig)| {
        let limit = queue.concurrency.unwrap_or(config.concurrency).min(config.concurrency);
        Arc::new(Intake {
            broker: Arc::clone(broker),
            executor: Arc::clone(executor),
            slots: Arc::clone(&slots),
            stop: stop.clone(),
            clock: executor.clock.clone(),
            queue: queue.clone(),
            index,
            window: Window::new(limit),
            is_consuming: watch::Sender::new(false),
        })
    };
    queues.iter().enumerate().map(intake).collect()
}

//! Puts a worker together, and checks at the start what would otherwise fail job by job.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use job_core::application;
use job_core::client::Client;
use job_core::context::{Context, States};
use job_core::error::{Error, Result};
use job_core::job::{Job, decode};
use job_core::name::QueueName;
use job_core::observation::{Observer, Observers};
use job_core::perform::JobError;
use job_core::registry::{Registry, Work};
use job_core::schedule::{LinkedSchedule, Schedule};

use crate::config::{QueueConfig, Scheduling, WorkerConfig};
use crate::executor::stall::StallWatch;
use crate::executor::{Executor, Limits, Line};
use crate::in_flight::InFlight;
use crate::middleware::Middleware;
use crate::monitor::Heartbeat;
use crate::placement::Placement;
use crate::roster::{Handlers, Roster, check_registry};
use crate::schedule::plan::{Draft, Plan};
use crate::shutdown::StopHandle;
use crate::worker::{Worker, intakes};

/// Builds a [`Worker`]. Nothing is connected or started before [`build`](Self::build).
#[derive(Default)]
#[must_use]
pub struct WorkerBuilder {
    config: WorkerConfig,
    client: Option<Client>,
    registry: Option<Registry>,
    states: States,
    handlers: Handlers,
    extra_queues: Vec<QueueConfig>,
    schedules: Vec<Draft>,
    middleware: Vec<Arc<dyn Middleware>>,
    observers: Observers,
    mistakes: Vec<String>,
    is_main: bool,
}

impl WorkerBuilder {
    /// Sets the client, and with it the broker.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Returns the client, for states that enqueue by themselves; `None` before it was set.
    pub fn connected_client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// Provides a value of the application's state to the jobs that declare its type with `state(S)`.
    pub fn state<S: Any + Send + Sync>(mut self, state: S) -> Self {
        self.states.insert(state);
        self
    }

    /// Gives the handler of a job that says `handler = "…"`.
    pub fn handle<J, F, Fut>(mut self, handler: F) -> Self
    where
        J: Job,
        F: Fn(J, Context<J>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let handler = Arc::new(move |parts: job_core::context::Parts| {
            let job: J = decode(&parts.envelope)?;
            Ok(Work::Async(Box::pin(handler(job, Context::new(parts)))))
        });
        if self.handlers.insert(J::KIND, handler).is_some() {
            self.mistakes.push(format!("the job \"{}\" was given two handlers; remove one handle(…)", J::KIND));
        }
        self
    }

    /// Consumes a queue besides those of the linked jobs, or with another weight or limit: `name`, `name=weight` or
    /// `name=weight/concurrency`.
    pub fn queue(mut self, queue: &str) -> Self {
        match QueueConfig::parse(queue) {
            Ok(queue) => self.extra_queues.push(queue),
            Err(error) => self.mistakes.push(error.to_string()),
        }
        self
    }

    /// Consumes these queues and no others.
    pub fn only_queues(mut self, queues: Vec<QueueConfig>) -> Self {
        self.config.queues = queues;
        self
    }

    /// Enqueues a job again and again: `make` is called for each tick. The name is one of the application's schedules, and
    /// must stay the same.
    pub fn schedule<J: Job>(
        mut self,
        name: &str,
        schedule: Schedule,
        make: impl Fn() -> J + Send + Sync + 'static,
    ) -> Self {
        self.schedules.push(Draft::given(name, schedule, make));
        self
    }

    /// Chooses whether the worker fires the ticks of schedules. Defaults to [`Scheduling::With`].
    pub fn scheduling(mut self, scheduling: Scheduling) -> Self {
        self.config.scheduling = scheduling;
        self
    }

    /// Adds a middleware inside those that were added before.
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(Arc::new(middleware));
        self
    }

    /// Adds an observer of everything that happens.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers = self.observers.with(observer);
        self
    }

    /// Sets how many jobs run at once. Defaults to 16.
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.config.concurrency = jobs;
        self
    }

    /// Sets how long running jobs may finish after a stop was asked for. Defaults to 25 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// Stops the worker when nothing is ready, delayed or running on its queues.
    pub fn exit_when_idle(mut self) -> Self {
        self.config.exit_when_idle = true;
        self
    }

    /// Replaces all settings.
    pub fn config(mut self, config: WorkerConfig) -> Self {
        self.config = config;
        self
    }

    /// Runs these job types instead of all that are linked.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    pub(crate) fn main_process(mut self) -> Self {
        self.is_main = true;
        self
    }

    /// Checks everything, and makes the worker.
    ///
    /// # Errors
    /// Every problem at once, a line each: settings, unknown queues, kinds without handler, missing states, two types
    /// of one kind, subscriptions without group, no types at all, a program that aborts on panic.
    pub fn build(self) -> Result<Worker> {
        check_unwinding()?;
        let registry = self.registry.clone().map_or_else(Registry::linked, Ok)?;
        check_registry(&registry)?;
        let client = self.client.clone().ok_or_else(no_client)?;
        let mut problems = self.mistakes.clone();
        problems.extend(self.config.validate().err().map(|e| e.to_string()));
        let placement = Placement::new(&registry)?;
        let queues = self.queues(&placement, &mut problems);
        let plans = self.plans(&registry, &mut problems);
        let consumed: BTreeSet<QueueName> = queues.iter().map(|q| q.name.clone()).collect();
        let (roster, missing) = Roster::new(&registry, &self.handlers, &self.states, &placement, &consumed);
        problems.extend(missing);
        problems.extend(roster.held_too_long(&consumed, &client.broker().capabilities()));
        if !problems.is_empty() {
            return Err(Error::invalid(problems.join("\n")));
        }
        let application = application::name()?.filter(|_| self.config.scheduling != Scheduling::Without);
        let mut worker = self.assemble(&client, queues, roster, placement);
        worker.scheduler = application.map(|application| Arc::new(worker.scheduler(application, plans)));
        Ok(worker)
    }

    /// Makes only what runs jobs, without what takes them from queues. A kind that cannot run here is no mistake before
    /// one of its jobs comes.
    pub(crate) fn build_executor(self, placement: &Placement) -> Result<Arc<Executor>> {
        let registry = self.registry.clone().map_or_else(Registry::linked, Ok)?;
        check_registry(&registry)?;
        let client = self.client.clone().ok_or_else(no_client)?;
        if !self.mistakes.is_empty() {
            return Err(Error::invalid(self.mistakes.join("\n")));
        }
        let (roster, _) = Roster::new(&registry, &self.handlers, &self.states, placement, &BTreeSet::new());
        Ok(self.executor(&client, roster))
    }

    fn executor(&self, client: &Client, roster: Roster) -> Arc<Executor> {
        let clock = client.broker().clock().clone();
        Arc::new(Executor {
            roster,
            states: self.states.clone(),
            client: client.clone().observers(self.observers.clone()),
            stall: StallWatch::new(clock.clone()),
            clock,
            observers: self.observers.clone(),
            middleware: self.middleware.clone().into(),
            limits: Limits { payload_bytes_max: self.config.payload_bytes_max, depth_max: self.config.depth_max },
            stop: StopHandle::new(),
            in_flight: InFlight::new(),
            line: Line::default(),
            interrupted: AtomicUsize::new(0),
            lane: Arc::default(),
        })
    }

    fn assemble(self, client: &Client, queues: Vec<QueueConfig>, roster: Roster, placement: Placement) -> Worker {
        let executor = self.executor(client, roster);
        let (client, clock, stop) = (executor.client.clone(), executor.clock.clone(), executor.stop.clone());
        let intakes = intakes(&queues, &self.config, client.broker(), &executor, &stop);
        let (config, observers, is_main) = (self.config, self.observers, self.is_main);
        Worker {
            config,
            queues,
            placement,
            client,
            executor,
            intakes,
            clock,
            observers,
            stop,
            heartbeat: Heartbeat::default(),
            scheduler: None,
            is_main,
        }
    }

    /// Reads the schedules of the linked jobs and of the builder.
    fn plans(&self, registry: &Registry, problems: &mut Vec<String>) -> Vec<Plan> {
        let linked = LinkedSchedule::linked().filter_map(|schedule| {
            let descriptor = registry.find(schedule.kind)?;
            Some(Draft::linked(schedule, &descriptor.job))
        });
        let drafts: Vec<Draft> = linked.chain(self.schedules.iter().cloned()).collect();
        let application = match application::name() {
            Ok(Some(application)) => application,
            Ok(None) if drafts.is_empty() => return Vec::new(),
            Ok(None) => {
                problems.push(no_application(&drafts[0]));
                return Vec::new();
            }
            // It is told by those who need the name.
            Err(_) => return Vec::new(),
        };
        let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
        for draft in &drafts {
            match draft.plan(application) {
                Ok(plan) => {
                    if plans.insert(draft.name.clone(), plan).is_some() {
                        problems.push(format!(
                            "two schedules are called \"{}\"; give one of them another name",
                            draft.name
                        ));
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        plans.into_values().collect()
    }

    /// Returns the queues to consume: the configured ones, or else those of the jobs and of the builder.
    fn queues(&self, placement: &Placement, problems: &mut Vec<String>) -> Vec<QueueConfig> {
        let linked = placement.queues();
        let mut known: Vec<QueueConfig> = self.extra_queues.clone();
        let is_new = |name: &&QueueName| !self.extra_queues.iter().any(|q| q.name == **name);
        known.extend(linked.iter().filter(is_new).cloned().map(QueueConfig::new));
        if self.config.scheduling == Scheduling::Only {
            return Vec::new();
        }
        if self.config.queues.is_empty() {
            return known;
        }
        let meant = |queue: &QueueConfig| QueueConfig { name: placement.resolve(&queue.name), ..queue.clone() };
        let queues: Vec<QueueConfig> = self.config.queues.iter().map(meant).collect();
        for queue in &queues {
            if !known.iter().any(|k| k.name == queue.name) {
                problems.push(unknown_queue(&queue.name, &known));
            }
        }
        queues
    }
}

fn no_client() -> Error {
    Error::invalid("the worker has no client; give it one with .client(Client::connect(\"sqlite:jobs.db\").await?)")
}

fn no_application(draft: &Draft) -> String {
    format!(
        "the schedule \"{}\" belongs to an application without a name; say job_core::application!(\"…\") once in the \
         program: the workers of one name fire each tick once among them",
        draft.name
    )
}

fn unknown_queue(name: &QueueName, known: &[QueueConfig]) -> String {
    let names: Vec<String> = known.iter().map(|q| format!("\"{}\"", q.name)).collect();
    format!(
        "no linked job has the queue \"{name}\"; the queues are {}; a job enqueued to another one needs .queue(\"{name}\") on the worker",
        names.join(", ")
    )
}

/// A panic must unwind to be caught: with `abort`, one bad job ends the process and all jobs in it.
fn check_unwinding() -> Result<()> {
    if cfg!(panic = "abort") {
        return Err(Error::invalid(
            "the worker was built with panic = \"abort\", so that one panicking job would end it; remove that line from the profile in Cargo.toml",
        ));
    }
    Ok(())
}

//! Which kinds this worker can run, and how: handlers, options, limits, and the checks of them at start.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use job_core::broker::Capabilities;
use job_core::context::States;
use job_core::envelope::Envelope;
use job_core::error::{Error, Result};
use job_core::name::QueueName;
use job_core::options::JobOptions;
use job_core::registry::{Descriptor, Handler, Registry};

use crate::catalogue::KindEntry;
use crate::hold;
use crate::kind_limit::KindLimit;
use crate::pace::Pace;
use crate::placement::{Place, Placement};

/// A kind that this worker can run.
pub(crate) struct Route {
    pub(crate) kind: &'static str,
    pub(crate) options: JobOptions,
    pub(crate) place: Place,
    pub(crate) handler: Handler,
    pub(crate) limit: Option<Arc<KindLimit>>,
    pub(crate) pace: Pace,
}

/// The kinds of a worker.
pub(crate) struct Roster {
    routes: HashMap<&'static str, Arc<Route>>,
    /// Kinds that are linked but cannot run here, and why.
    unrunnable: BTreeMap<&'static str, String>,
    /// Queues whose jobs are of one kind, whatever they call themselves: those of subscriptions, and somebody else's.
    fixed: HashMap<QueueName, &'static str>,
    /// Queues of which only one kind is linked: a job there need not say of which kind it is.
    sole: HashMap<QueueName, &'static str>,
}

/// Handlers that were given to the builder, by kind.
pub(crate) type Handlers = BTreeMap<&'static str, Handler>;

impl Route {
    /// True when nothing of its jobs is kept beyond a run.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.place.subscription.as_ref().is_some_and(|subscribed| subscribed.is_ephemeral)
    }
}

impl Roster {
    /// Finds out what can run with these handlers and states. What the consumed queues need and nobody provides is
    /// returned as problems, in words.
    pub(crate) fn new(
        registry: &Registry,
        handlers: &Handlers,
        states: &States,
        placement: &Placement,
        consumed: &BTreeSet<QueueName>,
    ) -> (Self, Vec<String>) {
        let (fixed, sole) = owned_queues(placement);
        let mut roster = Self { routes: HashMap::new(), unrunnable: BTreeMap::new(), fixed, sole };
        let mut problems = Vec::new();
        for descriptor in registry.iter() {
            let place = placement.of(descriptor.job.kind).expect("a kind of the registry has a place");
            match find_handler(descriptor, handlers).and_then(|h| check_states(descriptor, states).map(|()| h)) {
                Ok(handler) => roster.insert(descriptor, place, handler),
                Err(problem) => {
                    if consumed.contains(&place.queue) {
                        problems.push(problem.clone());
                    }
                    roster.unrunnable.insert(descriptor.job.kind, problem);
                }
            }
        }
        (roster, problems)
    }

    /// Finds the route of a message: by its queue, where that is a subscription's or somebody else's, and else by its kind. A
    /// message that names none is of the kind to which its queue belongs.
    ///
    /// # Errors
    /// Says why this worker cannot run it.
    pub(crate) fn find(&self, queue: &QueueName, envelope: &Envelope) -> Result<&Arc<Route>, String> {
        // Most workers have none: they need not look at the queue.
        if !self.fixed.is_empty()
            && let Some(kind) = self.fixed.get(&queue.work())
        {
            return self.find_kind(kind);
        }
        match &envelope.kind {
            Some(kind) => self.find_kind(kind.as_str()),
            None => match self.sole.get(&queue.work()) {
                Some(kind) => self.find_kind(kind),
                None => Err("the message names no kind, and its queue does not belong to one".into()),
            },
        }
    }

    fn find_kind(&self, kind: &str) -> Result<&Arc<Route>, String> {
        self.routes.get(kind).ok_or_else(|| match self.unrunnable.get(kind) {
            Some(problem) => problem.clone(),
            None => format!("no job of the kind \"{kind}\" is linked into this worker"),
        })
    }

    /// Returns every route; one with aliases several times.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values().map(|route| &**route)
    }

    /// Describes every kind that this worker runs from one of the queues.
    pub(crate) fn entries(&self, consumed: &BTreeSet<&QueueName>) -> Vec<KindEntry> {
        let mut names: BTreeMap<&str, (&Route, Vec<&str>)> = BTreeMap::new();
        // A queue that goes with this process is nobody's to enqueue to.
        let is_told = |route: &Route| consumed.contains(&route.place.queue) && !route.is_ephemeral();
        for (name, route) in self.routes.iter().filter(|(_, route)| is_told(route)) {
            let (_, aliases) = names.entry(route.kind).or_insert((route, Vec::new()));
            if *name != route.kind {
                aliases.push(name);
            }
        }
        let entry = |(kind, (route, mut aliases)): (&str, (&Route, Vec<&str>))| {
            aliases.sort_unstable();
            KindEntry::new(kind, &aliases, route.place.queue.clone(), &route.options)
        };
        names.into_iter().map(entry).collect()
    }

    /// Says which kinds of these queues may run for longer than the broker lets a process hold a job.
    pub(crate) fn held_too_long(
        &self,
        consumed: &BTreeSet<QueueName>,
        capabilities: &Capabilities,
    ) -> BTreeSet<String> {
        let mine = self.routes.values().filter(|route| consumed.contains(&route.place.queue));
        mine.filter_map(|route| hold::problem(route.kind, &route.options, capabilities)).collect()
    }

    fn insert(&mut self, descriptor: &'static Descriptor, place: &Place, handler: Handler) {
        let job = &descriptor.job;
        let route = Arc::new(Route {
            kind: job.kind,
            options: job.options,
            place: place.clone(),
            handler,
            limit: job.options.concurrency.map(KindLimit::new),
            pace: Pace::default(),
        });
        for kind in std::iter::once(&job.kind).chain(job.aliases) {
            self.routes.insert(kind, Arc::clone(&route));
        }
    }
}

/// Returns the queues whose jobs are of one kind whatever they call themselves, and all that belong to one kind.
fn owned_queues(placement: &Placement) -> (HashMap<QueueName, &'static str>, HashMap<QueueName, &'static str>) {
    let mut kinds: HashMap<&QueueName, Vec<&Place>> = HashMap::new();
    placement.iter().for_each(|place| kinds.entry(&place.queue).or_default().push(place));
    let (mut fixed, mut sole) = (HashMap::new(), HashMap::new());
    for (queue, places) in kinds {
        let [place] = places[..] else { continue };
        sole.insert(queue.clone(), place.kind);
        if place.subscription.is_some() || place.is_external {
            fixed.insert(queue.clone(), place.kind);
        }
    }
    (fixed, sole)
}

/// Checks that there are job types at all, and explains the linker's rule when there are none.
pub(crate) fn check_registry(registry: &Registry) -> Result<()> {
    if !registry.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(
        "no job types are linked into this program, so it has nothing to run; a worker of your own is a program that \
         depends on job-worker and on the crate of your jobs, with this main.rs:\n\n\
         \x20   use my_jobs as _; // names the crate of the jobs: one that is never named is not linked\n\n\
         \x20   fn main() -> std::process::ExitCode {\n\
         \x20       job_worker::main(async |worker| Ok(worker))\n\
         \x20   }\n",
    ))
}

fn find_handler(descriptor: &Descriptor, handlers: &Handlers) -> Result<Handler, String> {
    let kind = descriptor.job.kind;
    let name = (descriptor.job.type_name)();
    match (handlers.get(kind), descriptor.perform) {
        (Some(_), Some(_)) => Err(format!(
            "the job \"{kind}\" ({name}) has two handlers; remove the worker's handle(…), or say handler = \"…\" in its #[job(…)]"
        )),
        (Some(handler), None) => Ok(Arc::clone(handler)),
        (None, Some(perform)) => Ok(Arc::new(perform)),
        (None, None) => Err(format!(
            "the job \"{kind}\" ({name}) has its handler elsewhere ({}), and this worker was given none; add .handle(|job: {}, cx| async move {{ … }})",
            descriptor.handler.unwrap_or("not said where"),
            name.rsplit("::").next().unwrap_or(name),
        )),
    }
}

fn check_states(descriptor: &Descriptor, states: &States) -> Result<(), String> {
    let missing: Vec<&str> =
        descriptor.states.iter().filter(|need| !states.provides(need)).map(|need| (need.type_name)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the job \"{}\" ({}) needs the state {}, and this worker was given none; add .state(…) with such a value",
        descriptor.job.kind,
        (descriptor.job.type_name)(),
        missing.join(" and ")
    ))
}

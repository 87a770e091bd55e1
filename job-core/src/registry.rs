//! Every job type that was linked into the program, with its handler, and the checks of that list at start.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::BoxFuture;
use crate::context::{Context, Parts, StateNeed};
use crate::error::{Error, Result};
use crate::job::{Job, JobType, decode};
use crate::name::QueueName;
use crate::perform::{JobError, Perform, PerformBlocking};

/// What the derive submits for each job type.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The type.
    pub job: JobType,
    /// The states that its handler needs.
    pub states: &'static [StateNeed],
    /// Decodes and runs it; `None` when the handler is elsewhere.
    pub perform: Option<PerformFn>,
    /// Where the handler is said to be, when it is elsewhere.
    pub handler: Option<&'static str>,
}

inventory::collect!(Descriptor);

/// Decodes a job and returns its run, not begun.
pub type PerformFn = fn(Parts) -> serde_json::Result<Work>;

/// A handler of one kind, the derived one or one that was given to the worker.
pub type Handler = Arc<dyn Fn(Parts) -> serde_json::Result<Work> + Send + Sync>;

/// One run of one job, decoded and not begun.
pub enum Work {
    /// Poll it.
    Async(BoxFuture<'static, Result<(), JobError>>),
    /// Call it on a thread that may block.
    Blocking(Box<dyn FnOnce() -> Result<(), JobError> + Send>),
}

/// Decodes a job and makes the future of its run.
///
/// # Errors
/// When the payload does not decode.
pub fn perform_async<J: Perform>(parts: Parts) -> serde_json::Result<Work> {
    let job: J = decode(&parts.envelope)?;
    Ok(Work::Async(Box::pin(job.perform(Context::new(parts)))))
}

/// Decodes a job and makes the call of its run.
///
/// # Errors
/// When the payload does not decode.
pub fn perform_blocking<J: PerformBlocking>(parts: Parts) -> serde_json::Result<Work> {
    let job: J = decode(&parts.envelope)?;
    Ok(Work::Blocking(Box::new(move || job.perform(Context::new(parts)))))
}

/// The linked job types, by kind and alias.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    by_kind: BTreeMap<&'static str, &'static Descriptor>,
}

impl Registry {
    /// Collects what was linked into this program.
    ///
    /// # Errors
    /// When two types have one kind or alias, or share a subscription's queue; it names both. When a subscription has no
    /// group.
    pub fn linked() -> Result<Self> {
        Self::of(inventory::iter::<Descriptor>)
    }

    /// Collects the given types.
    ///
    /// # Errors
    /// As [`linked`](Self::linked).
    pub fn of(descriptors: impl IntoIterator<Item = &'static Descriptor>) -> Result<Self> {
        let mut registry = Self::default();
        let mut clashes = Vec::new();
        for descriptor in descriptors {
            let job = &descriptor.job;
            for kind in std::iter::once(&job.kind).chain(job.aliases) {
                if let Some(other) = registry.by_kind.insert(kind, descriptor) {
                    clashes.push(clash(kind, &other.job, job));
                }
            }
        }
        clashes.extend(registry.queue_clashes());
        if clashes.is_empty() {
            return Ok(registry);
        }
        clashes.sort();
        Err(Error::invalid(clashes.join("\n")))
    }

    /// A subscription's queue decides the kind of what is in it: nobody else can have it.
    fn queue_clashes(&self) -> Vec<String> {
        let mut clashes = Vec::new();
        let mut taken: BTreeMap<QueueName, &JobType> = BTreeMap::new();
        for job in self.iter().map(|descriptor| &descriptor.job) {
            let Some(subscription) = &job.options.subscription else { continue };
            match subscription.queue(job.kind).and_then(|queue| subscription.patterns().map(|_| queue)) {
                Ok(queue) => {
                    if let Some(other) = taken.insert(queue.clone(), job) {
                        clashes.push(queue_clash(&queue, job, other));
                    }
                }
                Err(error) => clashes.push(format!("the subscription {}: {error}", named(job))),
            }
        }
        for job in self.iter().map(|descriptor| &descriptor.job).filter(|job| job.options.subscription.is_none()) {
            let queue = job.options.queue_or_default();
            if let Some((queue, other)) = taken.get_key_value(queue) {
                clashes.push(queue_clash(queue, other, job));
            }
        }
        clashes
    }

    /// Finds the type of a kind, by its name or an alias.
    pub fn find(&self, kind: &str) -> Option<&'static Descriptor> {
        self.by_kind.get(kind).copied()
    }

    /// Returns the types in the order of their kinds.
    pub fn iter(&self) -> impl Iterator<Item = &'static Descriptor> {
        // An alias leads to a descriptor that its own kind leads to as well.
        self.by_kind.iter().filter(|(kind, d)| **kind == d.job.kind).map(|(_, d)| *d)
    }

    /// True when no job type was linked.
    pub fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }
}

impl Descriptor {
    /// Describes the type `J`.
    pub const fn of<J: Job>(
        states: &'static [StateNeed],
        perform: Option<PerformFn>,
        handler: Option<&'static str>,
    ) -> Self {
        Self { job: JobType::of::<J>(), states, perform, handler }
    }
}

fn named(job: &JobType) -> String {
    format!("\"{}\" ({})", job.kind, (job.type_name)())
}

fn queue_clash(queue: &QueueName, subscription: &JobType, other: &JobType) -> String {
    format!(
        "the queue \"{queue}\" is that of the subscription {}, and {} has it too; give one of them another group, name or \
         queue",
        named(subscription),
        named(other)
    )
}

fn clash(kind: &str, one: &JobType, other: &JobType) -> String {
    let mut names = [(one.type_name)(), (other.type_name)()];
    names.sort_unstable();
    format!(
        "two job types have the kind \"{kind}\": {} and {}; give one of them another with #[job(name = \"…\")]",
        names[0], names[1]
    )
}

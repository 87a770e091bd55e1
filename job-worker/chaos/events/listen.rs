//! The listener role: the framework's own command line, with one subscription of three groups.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use job_core::clock::Clock;
use job_core::{BoxError, Context, Job, JobError, Perform};
use job_worker::WorkerBuilder;
use serde::{Deserialize, Serialize};

use crate::record::{Book, Event};

/// The environment variable that makes a worker a listener.
const VARIABLE: &str = "JOB_CHAOS_LISTENS";

/// One group and its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) queue: &'static str,
}

/// The last one is slow, and stopped for a while.
pub(super) const GROUPS: [Group; 3] = [
    Group { name: "audit", queue: "audit.count_event" },
    Group { name: "mirror", queue: "mirror.copy_event" },
    Group { name: "slow", queue: "slow.ponder_event" },
];

/// What the slow one takes for each event.
const PONDERED: Duration = Duration::from_millis(60);

/// One event of so many fails at first: its retry must not reach the other groups.
const FAILS_ONE_IN: u64 = 20;

/// What a listener writes into.
#[derive(Clone)]
struct Ear(Arc<Book>);

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "chaos.*.happened"), group = "audit", state(Ear), backoff = "fixed(50ms)")]
struct CountEvent {
    key: String,
}

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "chaos.#"), on(topic = "chaos.*.happened"), group = "mirror", state(Ear), backoff = "fixed(50ms)")]
struct CopyEvent {
    key: String,
}

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "chaos.*.happened"), group = "slow", state(Ear), backoff = "fixed(50ms)")]
struct PonderEvent {
    key: String,
}

impl Perform for CountEvent {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        hear(self.key, &cx)
    }
}

impl Perform for CopyEvent {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        hear(self.key, &cx)
    }
}

impl Perform for PonderEvent {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        Clock::system().sleep(PONDERED).await;
        hear(self.key, &cx)
    }
}

fn hear<J: Job + job_core::__private::Needs<Ear>>(key: String, cx: &Context<J>) -> Result<(), JobError> {
    let mut hasher = DefaultHasher::new();
    (&key, J::KIND).hash(&mut hasher);
    if cx.attempt() == 1 && hasher.finish().is_multiple_of(FAILS_ONE_IN) {
        return Err("it was told to fail".into());
    }
    cx.state::<Ear>().0.note(Event::Effect { id: key });
    Ok(())
}

/// Says whether this process is a listener.
pub(crate) fn is_listener() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Returns what makes a process a listener.
pub(super) fn variable() -> (&'static str, String) {
    (VARIABLE, "1".into())
}

/// Gives a listener its history.
pub(crate) fn set_up(worker: WorkerBuilder) -> Result<WorkerBuilder, BoxError> {
    Ok(worker.state(Ear(Arc::new(Book::of_this_process()?))))
}

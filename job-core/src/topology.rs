//! What exists on a broker: queues, and the bindings by which published events reach them.
//!
//! Data; `pattern` has the matching rules. Declares nothing.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::name::{ExchangeName, QueueName};

mod pattern;

pub use pattern::{HeadersMode, Pattern};

/// Longest routing key or binding pattern, in bytes: an AMQP short string.
pub const ROUTING_KEY_BYTES_MAX: usize = 255;

/// What a program needs to exist before it publishes or consumes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The queues to declare.
    pub queues: Vec<Queue>,
    /// The bindings to add; declaring never removes one.
    pub bindings: Vec<Binding>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name, the same on every broker.
    pub name: QueueName,
    /// Somebody else declared it: it is checked, never declared or changed.
    pub is_external: bool,
    /// How long it is there.
    pub lifetime: Lifetime,
}

/// How long a queue is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Until an operator removes it.
    #[default]
    Durable,
    /// For as long as the process that declared it: it is gone, with all that it holds, when that process closes or dies,
    /// and nobody else can consume it. Nothing of it is kept beyond its run: what would come back later, or be kept among
    /// the dead, is forgotten.
    Process,
}

/// A rule by which a queue gets a copy of matching events. Several matching rules of one queue give one copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Binding {
    /// The queue that gets the copies.
    pub queue: QueueName,
    /// Which events it gets.
    pub pattern: Pattern,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A queue, as a first publish; a shadow may copy it.
    Queue(QueueName),
    /// One queue and nothing else: retries, delay exits, redrives, moves, chain steps.
    Only(QueueName),
    /// Each queue bound to a matching topic pattern.
    Topic(String),
    /// Each queue bound to this key.
    Direct(String),
    /// Each queue bound to matching headers; the event's are the envelope's headers.
    Headers,
    /// Each queue bound to the fanout of this name.
    Fanout(String),
    /// As one of the four above, but at an exchange that somebody else declared: a namespace of its own, which is checked
    /// and never declared. See [`at`](Self::at).
    Foreign {
        /// The exchange.
        exchange: ExchangeName,
        /// What the exchange goes by.
        target: Box<Target>,
    },
}

impl Topology {
    /// Adds a queue that is ours, once.
    #[must_use]
    pub fn queue(mut self, name: QueueName) -> Self {
        if !self.queues.iter().any(|q| q.name == name) {
            self.queues.push(Queue { name, is_external: false, lifetime: Lifetime::Durable });
        }
        self
    }

    /// Adds a queue that is there for as long as this process, once.
    #[must_use]
    pub fn process_queue(mut self, name: QueueName) -> Self {
        if !self.queues.iter().any(|q| q.name == name) {
            self.queues.push(Queue { name, is_external: false, lifetime: Lifetime::Process });
        }
        self
    }

    /// Adds a queue that somebody else declared, once. It is looked for, and used as it is.
    #[must_use]
    pub fn external_queue(mut self, name: QueueName) -> Self {
        if !self.queues.iter().any(|q| q.name == name) {
            self.queues.push(Queue { name, is_external: true, lifetime: Lifetime::Durable });
        }
        self
    }

    /// Adds a binding once, and its queue, unless it was added as another one before.
    #[must_use]
    pub fn bind(self, queue: QueueName, pattern: Pattern) -> Self {
        let mut topology = self.queue(queue.clone());
        let binding = Binding { queue, pattern };
        if !topology.bindings.contains(&binding) {
            topology.bindings.push(binding);
        }
        topology
    }
}

impl Target {
    /// Returns the queue of a target that names one.
    pub fn queue(&self) -> Option<&QueueName> {
        match self {
            Self::Queue(queue) | Self::Only(queue) => Some(queue),
            Self::Topic(_) | Self::Direct(_) | Self::Headers | Self::Fanout(_) | Self::Foreign { .. } => None,
        }
    }

    /// Returns this event's target at somebody else's exchange.
    #[must_use]
    pub fn at(self, exchange: ExchangeName) -> Self {
        Self::Foreign { exchange, target: Box::new(self) }
    }

    /// Checks the length of the routing key, and that only an event goes to somebody else's exchange.
    ///
    /// # Errors
    /// When the key is longer than [`ROUTING_KEY_BYTES_MAX`], or a queue or another exchange stands within an exchange.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Foreign { exchange, target } => match **target {
                Self::Queue(_) | Self::Only(_) | Self::Foreign { .. } => Err(not_an_event(exchange)),
                _ => target.check(),
            },
            Self::Topic(key) | Self::Direct(key) => check_key("a routing key", key),
            Self::Fanout(name) => check_fanout(name),
            Self::Queue(_) | Self::Only(_) | Self::Headers => Ok(()),
        }
    }
}

fn not_an_event(exchange: &ExchangeName) -> Error {
    Error::invalid(format!(
        "the exchange \"{exchange}\" goes by a topic, a direct key, headers or as a fanout; name one of these"
    ))
}

/// Beside the fanouts `events.<name>` stand the exchanges of direct and of headers events.
const FANOUTS_RESERVED: [&str; 2] = ["direct", "headers"];

fn check_fanout(name: &str) -> Result<()> {
    if FANOUTS_RESERVED.contains(&name) {
        return Err(Error::invalid(format!(
            "the fanout \"{name}\" would have the name of another exchange; choose another name"
        )));
    }
    check_key("the name of a fanout", name)
}

fn check_key(what: &str, key: &str) -> Result<()> {
    if key.len() <= ROUTING_KEY_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} has at most {ROUTING_KEY_BYTES_MAX} bytes, this one has {}", key.len())))
}

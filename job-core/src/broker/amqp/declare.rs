//! Makes exchanges, queues and bindings exist before they are used: once a connection, and never again until it is lost.
//!
//! Nothing is ever changed or removed. What exists and differs is an error that names queue, argument, both values and
//! the way out. Who may not declare but finds what it needs goes on: producers need no more than the right to write.
//!
//! A queue that was just made needs some more care: see [`youth`].

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lapin::Channel;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use crate::broker::amqp::argument::{self, Exchange, QueueKind};
use crate::broker::amqp::fault;
use crate::broker::amqp::link::Link;
use crate::broker::amqp::name::Names;
use crate::broker::amqp::options::AmqpOptions;
use crate::broker::amqp::session::Session;
use crate::error::{Error, Result};
use crate::name::{ExchangeName, QueueName};
use crate::sabotage::{self, Mutant};
use crate::topology::{Binding, Lifetime, Queue, Topology};

mod age;
mod event;
mod look;
mod mismatch;
mod mute;
mod own;
mod retire;
mod youth;

use age::Ages;
use own::Own;

/// What can be declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Thing {
    /// The exchanges of jobs, and the queue of those that have none.
    Base,
    /// A queue of jobs, its dead queue, and the keys by which they are reached.
    Queue(QueueName),
    /// A queue that goes with this process, and its bindings: both are gone with the connection.
    Own(QueueName),
    /// The queue of ours beside somebody else's of this name.
    Retry(QueueName),
    /// A slot of the delay wheel.
    Slot {
        level: u8,
        index: u8,
    },
    /// The queue by whose consumers the pumps of the wheel are counted.
    Pumps,
    TopicEvents,
    DirectEvents,
    HeadersEvents,
    FanoutEvents(String),
    /// An exchange that somebody else declared: it must be there.
    Foreign(ExchangeName),
    Binding(Binding),
}

/// Declares by way of one link, and remembers what it has declared on the connection that lives.
#[derive(Debug)]
pub(super) struct Declarer {
    names: Arc<Names>,
    known: Mutex<Known>,
    own: Own,
    /// The age from which on a queue is trusted.
    youth: Duration,
    /// By which queues of the wheel are asked whether they have a leader.
    probe: Option<Arc<Link>>,
    /// Shared with those [beside](Self::beside) it.
    ages: Ages,
    /// One declares at a time: a thousand callers that begin at once need one exchange, not a thousand channels.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    generation: u64,
    /// What was declared on the connection that lives, and when.
    things: HashMap<Thing, Instant>,
    /// What has grown old enough, on whichever connection.
    grown: HashSet<Thing>,
    /// What has no leader, and when that was seen.
    mute: HashMap<Thing, Instant>,
}

impl Declarer {
    pub(super) fn new(names: Arc<Names>, options: &AmqpOptions) -> Self {
        Self {
            names,
            known: Mutex::default(),
            own: Own::default(),
            youth: options.queue_youth,
            ages: Ages::default(),
            probe: None,
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Makes one for another link of the same process.
    pub(super) fn beside(&self) -> Self {
        Self {
            names: Arc::clone(&self.names),
            known: Mutex::default(),
            own: Own::default(),
            youth: self.youth,
            ages: self.ages.clone(),
            probe: None,
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Says whether a thing was declared on this connection.
    pub(super) fn has_ensured(&self, session: &Session, thing: &Thing) -> bool {
        let known = self.lock();
        known.generation == session.generation() && known.things.contains_key(thing)
    }

    /// Declares a thing, unless that was done on this connection.
    ///
    /// # Errors
    /// When it exists and differs, may not be declared and does not exist, or the connection is lost.
    pub(super) async fn ensure(&self, session: &Session, thing: &Thing) -> Result<()> {
        if self.has_ensured(session, thing) {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        if self.has_ensured(session, thing) {
            return Ok(());
        }
        if self.is_mute(session, thing) {
            return Err(Error::unavailable("the queue had no leader a moment ago"));
        }
        let declared = self.work(session).declare(thing).await;
        match declared {
            Err(error) if error.is_denied() => self.work(session).check(thing).await.map_err(|_| error)?,
            declared => declared?,
        }
        self.listen(session, thing).await?;
        let mut known = self.lock();
        if known.generation != session.generation() {
            known.generation = session.generation();
            known.things.clear();
        }
        known.things.insert(thing.clone(), session.clock().monotonic());
        self.ages.note(thing, session);
        Ok(())
    }

    /// Declares all of a topology; what is somebody else's is only looked for.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub(super) async fn topology(&self, session: &Session, topology: &Topology) -> Result<()> {
        self.ensure(session, &Thing::Base).await?;
        self.raise(session, topology).await?;
        for queue in &topology.queues {
            self.declare_queue(session, queue).await?;
        }
        for binding in &topology.bindings {
            self.ensure(session, &Thing::Binding(binding.clone())).await?;
            self.own.bind(binding);
        }
        Ok(())
    }

    async fn declare_queue(&self, session: &Session, queue: &Queue) -> Result<()> {
        let name = &queue.name;
        if queue.is_external {
            self.find(session, name.as_str(), name).await.map_err(|error| missing(name, error))?;
            return self.ensure(session, &Thing::Retry(name.clone())).await;
        }
        if queue.lifetime == Lifetime::Process {
            self.ensure(session, &Thing::Own(name.clone())).await?;
            self.own.add(name);
            return Ok(());
        }
        if self.own.has(name) {
            return Err(Error::invalid(format!("queue \"{name}\" exists, and goes with this process")));
        }
        self.ensure(session, &Thing::Queue(name.clone())).await
    }

    /// Checks that a queue exists.
    ///
    /// # Errors
    /// [`is_invalid`](Error::is_invalid) when it does not.
    pub(super) async fn find(&self, session: &Session, physical: &str, queue: &QueueName) -> Result<()> {
        self.work(session).find_queue(physical, queue).await
    }

    /// Forgets what was declared: something of it is gone.
    pub(super) fn forget(&self) {
        let mut known = self.lock();
        known.things.clear();
        known.grown.clear();
        self.ages.forget();
    }

    fn work<'a>(&'a self, session: &'a Session) -> Work<'a> {
        Work { declarer: self, session, names: &self.names, channel: None }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One declaration, on a channel of its own: a refusal closes it.
struct Work<'a> {
    declarer: &'a Declarer,
    session: &'a Session,
    names: &'a Names,
    channel: Option<Channel>,
}

impl Work<'_> {
    async fn declare(mut self, thing: &Thing) -> Result<()> {
        let result = self.active(thing).await;
        self.end().await;
        result
    }

    async fn active(&mut self, thing: &Thing) -> Result<()> {
        match thing {
            Thing::Base => self.base().await,
            Thing::Queue(queue) => self.job_queue(queue).await,
            Thing::Own(queue) => self.own_queue(queue).await,
            Thing::Retry(queue) => self.retry_queue(queue).await,
            Thing::Slot { level, index } => {
                let slot = self.names.slot(*level, *index);
                self.queue(&slot, QueueKind::Slot).await?;
                sabotage::fail_point("amqp.slot.declared");
                self.bind(&slot, &self.names.only(), &slot, FieldTable::default()).await
            }
            Thing::Pumps => self.queue(&self.names.pumps(), QueueKind::Slot).await,
            Thing::TopicEvents => self.exchange(&self.names.events(), Exchange::EventsTopic).await,
            Thing::DirectEvents => self.exchange(&self.names.events_direct(), Exchange::EventsDirect).await,
            Thing::HeadersEvents => self.exchange(&self.names.events_headers(), Exchange::EventsHeaders).await,
            Thing::FanoutEvents(name) => self.exchange(&self.names.fanout(name)?, Exchange::EventsFanout).await,
            Thing::Foreign(exchange) => self.find_exchange(exchange.as_str()).await,
            Thing::Binding(binding) => self.binding(binding).await,
        }
    }

    async fn base(&mut self) -> Result<()> {
        let unrouted = self.names.unrouted();
        self.exchange(&unrouted, Exchange::Unrouted).await?;
        // Before the exchanges that send to it.
        self.raise_unrouted(&unrouted).await?;
        self.bind(&unrouted, &unrouted, "", FieldTable::default()).await?;
        sabotage::fail_point("amqp.base.declared");
        self.exchange(&self.names.jobs(), Exchange::Jobs).await?;
        self.exchange(&self.names.only(), Exchange::Only).await?;
        self.exchange(&self.names.dead_exchange(), Exchange::Dead).await
    }

    async fn job_queue(&mut self, queue: &QueueName) -> Result<()> {
        let physical = self.names.queue(queue);
        if queue.is_dead() {
            return self.dead_queue(queue).await;
        }
        self.raise(std::slice::from_ref(queue)).await?;
        // Before anything can die in the queue: nothing reaches it before it is bound.
        self.dead_queue(&queue.dead()).await?;
        self.queue(&physical, kind_of(queue)).await?;
        sabotage::fail_point("amqp.queue.declared");
        self.bind_by_name(&physical).await
    }

    async fn dead_queue(&mut self, queue: &QueueName) -> Result<()> {
        let physical = self.names.queue(queue);
        self.queue(&physical, QueueKind::Dead).await?;
        let work = self.names.queue(&queue.work());
        self.bind(&physical, &self.names.dead_exchange(), &work, FieldTable::default()).await?;
        self.bind_by_name(&physical).await
    }

    async fn bind_by_name(&mut self, physical: &str) -> Result<()> {
        self.bind(physical, &self.names.jobs(), physical, FieldTable::default()).await?;
        self.bind(physical, &self.names.only(), physical, FieldTable::default()).await
    }

    async fn binding(&mut self, binding: &Binding) -> Result<()> {
        if !self.declarer.own.has(&binding.queue) {
            self.job_queue(&binding.queue).await?;
        }
        self.bind_events(binding).await
    }

    /// Declares what takes somebody else's place where we have to send: retries of that queue, what is put back among its
    /// jobs, and what our own programs enqueue there. Theirs is never bound to anything of ours.
    async fn retry_queue(&mut self, queue: &QueueName) -> Result<()> {
        let retry = queue.retry();
        self.job_queue(&retry).await?;
        let (retry, key) = (self.names.queue(&retry), self.names.queue(queue));
        self.bind(&retry, &self.names.jobs(), &key, FieldTable::default()).await?;
        self.bind(&retry, &self.names.only(), &key, FieldTable::default()).await
    }

    async fn queue(&mut self, physical: &str, kind: QueueKind<'_>) -> Result<()> {
        let is_own = matches!(kind, QueueKind::Own);
        let options = QueueDeclareOptions { durable: !is_own, exclusive: is_own, ..QueueDeclareOptions::default() };
        let arguments = argument::queue(kind, self.names);
        let what = format!("declare the queue \"{physical}\"");
        let channel = self.channel().await?;
        let declare = channel.queue_declare(physical.into(), options, arguments);
        let declared = self.session.attempt(&what, declare).await?;
        declared.map(drop).map_err(|cause| explain(&what, &cause))
    }

    async fn exchange(&mut self, physical: &str, exchange: Exchange) -> Result<()> {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let (kind, mut arguments) = argument::exchange(exchange, self.names);
        if sabotage::is_on(Mutant::TrustMandatory) {
            arguments = FieldTable::default();
        }
        let what = format!("declare the exchange \"{physical}\"");
        let channel = self.channel().await?;
        let declare = channel.exchange_declare(physical.into(), kind, options, arguments);
        let declared = self.session.attempt(&what, declare).await?;
        declared.map_err(|cause| explain(&what, &cause))
    }

    async fn bind(&mut self, queue: &str, exchange: &str, key: &str, arguments: FieldTable) -> Result<()> {
        let what = format!("bind the queue \"{queue}\" to the exchange \"{exchange}\"");
        let channel = self.channel().await?;
        let bind =
            channel.queue_bind(queue.into(), exchange.into(), key.into(), QueueBindOptions::default(), arguments);
        self.session.answer(&what, bind).await
    }

    async fn channel(&mut self) -> Result<Channel> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        Ok(self.channel.insert(self.session.channel().await?).clone())
    }

    async fn end(self) {
        if let Some(channel) = self.channel.filter(|channel| channel.status().connected()) {
            // What it was for is done; a channel that cannot be closed is closed with its connection.
            let _ = self.session.answer("close a channel", channel.close(200, "OK".into())).await;
        }
    }
}

fn missing(queue: &QueueName, error: Error) -> Error {
    if !error.is_invalid() {
        return error;
    }
    Error::invalid(format!("there is no queue \"{queue}\"; whoever owns it must declare it before it is used"))
}

fn kind_of(queue: &QueueName) -> QueueKind<'_> {
    if queue.is_suspect() { QueueKind::Suspect(queue) } else { QueueKind::Work(queue) }
}

fn explain(what: &str, cause: &lapin::Error) -> Error {
    let text = fault::protocol(cause).filter(|_| fault::is_mismatch(cause)).map(|said| said.get_message().to_string());
    match text.as_deref().and_then(mismatch::explain) {
        Some(text) => Error::invalid(text).caused_by(cause.clone()),
        None => fault::error(what, cause),
    }
}

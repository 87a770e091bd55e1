//! RabbitMQ: the same jobs on a broker of its own, for what one machine is not enough for.
//!
//! What was published has been confirmed by a quorum queue when `publish` answers: it is on the disk of that node, or of
//! most nodes of a cluster. So is every retry, death and follower before the delivery that it comes from is acknowledged.
//! An acknowledgement itself has no answer: one that is lost with its connection brings the job back. Publishing and
//! consuming have a connection each, on one thread of the broker's own; both are made again for ever.

mod ack_ring;
mod argument;
mod barrier;
mod census;
mod channels;
mod consumer;
mod declare;
mod desk;
mod fault;
mod flush;
mod housekeep;
mod inspect;
mod intake;
mod keeper;
mod lane;
mod lead;
mod ledger;
mod link;
mod name;
#[cfg(test)]
#[path = "../../tests/amqp_node/mod.rs"]
mod node;
mod operator;
mod options;
mod outlet;
mod pace;
mod pair;
mod publisher;
mod pump;
mod realm;
mod route;
mod runtime;
#[cfg(test)]
mod scene;
mod session;
mod settle;
mod settled;
mod unrouted;
mod url;
mod watch;
mod wheel;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::broker::{BoxFuture, Broker, Capabilities, Consumer, Inspect, Leadership, Ledger, Outgoing, Stored, Window};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::topology::Topology;

use channels::Channels;
use consumer::AmqpConsumer;
use declare::{Declarer, Thing};
use desk::{Desk, Nature, Office};
use intake::Life;
use keeper::Keeper;
use link::{Link, Purpose};
use name::Names;
use pair::Pair;
use publisher::Publisher;
use pump::Pump;
use realm::{Parts, Realm};
use runtime::Runtime;
use settled::Settled;
use url::AmqpUrl;
use wheel::Geometry;

pub use options::AmqpOptions;

const CAPABILITIES: Capabilities = Capabilities {
    name: "rabbitmq",
    can_cancel: false,
    can_find: false,
    is_then_atomic: false,
    is_fire_exact: false,
    is_deduplicating: false,
    delay_min: Duration::from_secs(1),
    hold_max: None,
};

/// Deliveries that ran here and are remembered: twice the largest window of a few consumers.
const SETTLED_MAX: usize = 20_000;

/// The longest wait of an orderly end for what is under way.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// A RabbitMQ, or a cluster of them.
#[derive(Debug)]
pub struct AmqpBroker {
    names: Arc<Names>,
    clock: Clock,
    options: AmqpOptions,
    runtime: Runtime,
    publishing: Arc<Link>,
    consuming: Arc<Link>,
    declarer: Arc<Declarer>,
    office: Office,
    realm: Realm,
    life: Life,
    /// What keeps consumers, and acknowledges.
    keepers: TaskTracker,
    channels: Channels,
    /// The wheel is turned by those who consume.
    is_turning: AtomicBool,
    /// The server's own limit, as the URL states it.
    hold_max: Duration,
    is_closed: AtomicBool,
}

impl AmqpBroker {
    /// Connects to `amqp://user:password@host:5672,other:5672/vhost?namespace=shop`, all parts but the host optional.
    /// Needs a tokio runtime with time.
    ///
    /// # Errors
    /// [`is_invalid`](Error::is_invalid) when the URL is wrong, [`is_denied`](Error::is_denied) when RabbitMQ refuses the
    /// user or the virtual host, and [`is_unavailable`](Error::is_unavailable) when it cannot be reached in time.
    pub async fn connect(url: &str, options: AmqpOptions, clock: Clock) -> Result<Arc<Self>> {
        let url = Arc::new(AmqpUrl::parse(url)?);
        let names = Arc::new(Names::new(url.namespace.as_deref()));
        let runtime = Runtime::start()?;
        let link = |purpose| Link::open(purpose, Arc::clone(&url), runtime.handle().clone(), clock.clone());
        let (publishing, consuming) = (link(Purpose::Publish), link(Purpose::Consume));
        // One of them shows whether URL and server fit; the other is made when it is needed.
        publishing.session(options.connect_patience).await?;
        let publisher = Publisher::new(Arc::clone(&publishing), Arc::clone(&names), clock.clone(), &options);
        let office = Office {
            publisher: Arc::new(publisher),
            settled: Arc::new(Mutex::new(Settled::new(SETTLED_MAX))),
            tasks: TaskTracker::new(),
            handle: runtime.handle().clone(),
            clock: clock.clone(),
            patience: options.publish_patience,
        };
        let life = Life::default();
        let realm = Realm::new(Parts {
            url: Arc::clone(&url),
            names: Arc::clone(&names),
            publishing: Arc::clone(&publishing),
            consuming: Arc::clone(&consuming),
            office: &office,
            life: life.clone(),
            options: &options,
        });
        Ok(Arc::new(Self {
            declarer: Arc::new(Declarer::new(Arc::clone(&names), &options)),
            names,
            clock,
            options,
            runtime,
            publishing,
            consuming,
            office,
            realm,
            life,
            keepers: TaskTracker::new(),
            channels: Channels::default(),
            is_turning: AtomicBool::new(false),
            hold_max: url.consumer_timeout,
            is_closed: AtomicBool::new(false),
        }))
    }

    /// Ends this process's part as a crash would, for tests: nothing is acknowledged or given back.
    #[doc(hidden)]
    pub fn kill(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.life.killed.cancel();
        self.realm.log.close();
        self.runtime.stop();
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(link::closed()) } else { Ok(()) }
    }

    async fn publish_all(&self, messages: &[Outgoing]) -> Vec<Result<Stored>> {
        if self.check_open().is_err() {
            return messages.iter().map(|_| Err(link::closed())).collect();
        }
        self.office.publisher.publish_all(messages).await
    }

    async fn declare_all(&self, topology: &Topology) -> Result<()> {
        self.check_open()?;
        // Not by the connection that publishes, which RabbitMQ may block.
        let session = self.consuming.session(self.options.connect_patience).await?;
        self.declarer.topology(&session, topology).await?;
        self.realm.census.declared(topology);
        Ok(())
    }

    async fn consume_from(&self, queue: &QueueName, window: Window) -> Result<Box<dyn Consumer>> {
        self.check_open()?;
        if self.realm.census.is_retired(queue) {
            return Err(intake::undeclared(queue));
        }
        // What is left of a job must have a place to go before the job is taken.
        let session = self.consuming.session(self.options.connect_patience).await?;
        self.declarer.ensure(&session, &Thing::Base).await?;
        let physical = self.names.queue(queue);
        let consumer: Box<dyn Consumer> = if self.declarer.is_own(queue) {
            Box::new(self.keep(queue, physical, Nature::OfProcess, window).await?)
        } else if self.realm.census.is_external(queue) {
            let retry = self.names.queue(&queue.retry());
            let ours = self.keep(queue, retry, Nature::Durable, window).await?;
            let theirs = self.keep(queue, queue.as_str().to_owned(), Nature::External, window).await?;
            Box::new(Pair::new(theirs, ours))
        } else {
            self.declarer.find(&session, &physical, queue).await?;
            Box::new(self.keep(queue, physical, Nature::Durable, window).await?)
        };
        self.realm.keep_house();
        self.turn_wheel();
        Ok(consumer)
    }

    /// Begins to keep a consumer of one queue of the broker.
    async fn keep(&self, queue: &QueueName, physical: String, nature: Nature, window: Window) -> Result<AmqpConsumer> {
        let keeper = Keeper {
            link: Arc::clone(&self.consuming),
            declarer: Arc::clone(&self.declarer),
            desk: Desk::new(queue.clone(), nature, window, self.office.clone()),
            physical,
            silence_max: self.options.silence_max,
            life: self.life.clone(),
            channels: self.channels.clone(),
            tasks: self.keepers.clone(),
            handle: self.runtime.handle().clone(),
            clock: self.clock.clone(),
        };
        keeper.begin().await
    }

    async fn undeclare_queue(&self, queue: &QueueName) -> Result<()> {
        self.check_open()?;
        let session = self.consuming.session(self.options.connect_patience).await?;
        if self.declarer.is_own(queue) {
            return self.declarer.remove_own(&session, queue).await;
        }
        let census = &self.realm.census;
        let patterns = census.patterns(queue).await?;
        if census.is_external(queue) {
            return Err(Error::invalid(format!("queue \"{queue}\" is somebody else's, who alone removes it")));
        }
        census.retire(queue);
        self.declarer.retire(&session, queue, &patterns).await
    }

    /// Begins to turn the delay wheel, once.
    fn turn_wheel(&self) {
        if self.is_turning.swap(true, Ordering::AcqRel) {
            return;
        }
        let pump = Pump {
            consuming: Arc::clone(&self.consuming),
            publishing: Arc::clone(&self.publishing),
            declarer: self.office.publisher.declarer().beside().probing(self.consuming.sibling(Purpose::Probe)),
            names: Arc::clone(&self.names),
            geometry: Geometry::of(self.options.slot_width),
            life: self.life.clone(),
            clock: self.clock.clone(),
        };
        pump.start(&self.keepers, self.runtime.handle());
    }

    /// Finishes what is under way, gives back the rest, and says good-bye.
    fn end(&self) -> impl Future<Output = ()> + Send + 'static {
        let (settlements, keepers) = (self.office.tasks.clone(), self.keepers.clone());
        let (consuming, publishing) = (Arc::clone(&self.consuming), Arc::clone(&self.publishing));
        let (life, realm, clock) = (self.life.clone(), self.realm.end(), self.clock.clone());
        let publisher = Arc::clone(&self.office.publisher);
        async move {
            settlements.close();
            let _ = clock.timeout(CLOSE_MAX, settlements.wait()).await;
            life.closing.cancel();
            realm.await;
            keepers.close();
            let _ = clock.timeout(CLOSE_MAX, keepers.wait()).await;
            consuming.close().await;
            publishing.close().await;
            publisher.close().await;
            life.killed.cancel();
        }
    }
}

impl Broker for AmqpBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities { hold_max: Some(self.hold_max), ..CAPABILITIES }
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.declare_all(topology))
    }

    fn undeclare<'a>(&'a self, queue: &'a QueueName) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.undeclare_queue(queue))
    }

    fn publish(&self, messages: Vec<Outgoing>) -> BoxFuture<'_, Vec<Result<Stored>>> {
        Box::pin(async move { self.publish_all(&messages).await })
    }

    fn publish_shared(&self, messages: Arc<Vec<Outgoing>>) -> BoxFuture<'_, Vec<Result<Stored>>> {
        Box::pin(async move { self.publish_all(&messages).await })
    }

    fn consume<'a>(&'a self, queue: &'a QueueName, window: Window) -> BoxFuture<'a, Result<Box<dyn Consumer>>> {
        Box::pin(self.consume_from(queue, window))
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.channels.flush())
    }

    fn lead<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Box<dyn Leadership>>>> {
        Box::pin(async move {
            self.check_open()?;
            Ok(self.realm.leaders.lead(role).await?.map(|leadership| Box::new(leadership) as Box<dyn Leadership>))
        })
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        self.realm.log.ledger()
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if self.is_closed.swap(true, Ordering::AcqRel) {
                return Err(link::closed());
            }
            self.end().await;
            self.runtime.stop();
            Ok(())
        })
    }
}

impl Drop for AmqpBroker {
    fn drop(&mut self) {
        if !*self.is_closed.get_mut() {
            self.runtime.stop_after(self.end());
        }
    }
}

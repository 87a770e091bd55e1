//! How the suite gets at a broker: what a broker's tests provide.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::{BoxFuture, Broker, Capabilities};

/// How the suite gets at a broker: a fresh store, shared by as many processes as a case opens.
pub trait Fixture: Send + Sync {
    /// Opens the store as a fresh process would.
    fn open(&self) -> BoxFuture<'_, Process>;

    /// Lets time pass: moves the manual clock, or really waits.
    fn pass(&self, duration: Duration) -> BoxFuture<'_, ()>;

    /// Returns a delay that can be waited out with [`pass`](Self::pass). Defaults to an hour, for a manual clock.
    fn delay(&self) -> Duration {
        Duration::from_secs(3600)
    }

    /// Returns how long the survivors need to notice a death; cases let that much time pass. Defaults to zero.
    fn death_notice(&self) -> Duration {
        Duration::ZERO
    }

    /// Makes an exchange of topic events that is not ours exist, as its owner would. Defaults to nothing: a broker that
    /// routes by itself has every one.
    fn own_exchange<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()> {
        let _ = name;
        Box::pin(std::future::ready(()))
    }

    /// Returns what this broker or fixture has not; the cases that need it do not apply. Defaults to nothing.
    fn lacks(&self) -> &'static [Need] {
        &[]
    }
}

/// One process that uses the store.
pub struct Process {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) kill: Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>,
}

/// What some cases need and not every broker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// [`Capabilities::is_deduplicating`].
    Dedup,
    /// [`Capabilities::is_fire_exact`].
    FireExact,
    /// [`Capabilities::can_find`].
    Find,
    /// [`Capabilities::can_cancel`]: `take` by id, and from any queue.
    Cancel,
    /// Work queues can be browsed, and all counts are told.
    Counts,
    /// Deliveries come strictly by due time, and then in the order of publishing.
    Order,
    /// A release or an orderly close does not count as a redelivery.
    Redeliveries,
    /// An exchange of somebody else needs nobody to declare it first: the broker routes by itself.
    AnyExchange,
    /// Queues that go with their process.
    ProcessQueues,
    /// [`Broker::undeclare`].
    Undeclare,
    /// The fixture moves the clock by hand, so that an instant can be hit.
    ManualClock,
}

impl Process {
    /// Makes a process of its broker, and of what ends it as a crash would: it settles nothing more, and its store is
    /// told nothing.
    pub fn new(broker: Arc<dyn Broker>, kill: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static) -> Self {
        Self { broker, kill: Box::new(kill) }
    }
}

impl Need {
    /// Returns whether a broker says that it has this; `None` where capabilities do not tell.
    pub(super) fn is_met_by(self, capabilities: &Capabilities) -> Option<bool> {
        match self {
            Self::Dedup => Some(capabilities.is_deduplicating),
            Self::FireExact => Some(capabilities.is_fire_exact),
            Self::Find => Some(capabilities.can_find),
            Self::Cancel => Some(capabilities.can_cancel),
            Self::Counts
            | Self::Order
            | Self::Redeliveries
            | Self::AnyExchange
            | Self::ProcessQueues
            | Self::Undeclare
            | Self::ManualClock => None,
        }
    }
}

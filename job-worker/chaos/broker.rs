//! What the harness must know of a broker: how one is brought up and harmed, what damage is, and what it counts.
//!
//! The only room that knows one. Everything else speaks to the seam.

use std::io;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use job_core::BoxError;

use crate::record::Fault;

mod rabbitmq;
mod sqlite;

/// How long a broker is short of memory or of disk.
const ALARM: Duration = Duration::from_secs(20);

/// How long a RabbitMQ that was killed takes to come back.
const RESTART: Duration = Duration::from_secs(12);

/// RabbitMQ 3.10.8 forgets a queue, and what it has confirmed, when it is killed within a second of the queue's making. That
/// is its own fault: the queues are to be older.
const GROWTH: Duration = Duration::from_secs(4);

/// RabbitMQ refreshes what it counts every five seconds.
const COUNT_AGE_MAX: Duration = Duration::from_secs(6);

/// A broker that can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BrokerKind {
    /// The embedded broker
    Sqlite,
    /// A RabbitMQ node of the run's own
    Rabbitmq,
}

/// What is done to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// It is killed, and started again.
    Kill,
    /// It closes all connections.
    Cut,
    /// It thinks that it is short of memory.
    Memory,
    /// It thinks that it is short of disk.
    Disk,
}

impl Blow {
    /// Returns what the histories call it.
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Kill => Fault::Broker,
            Self::Cut => Fault::Cut,
            Self::Memory | Self::Disk => Fault::Alarm,
        }
    }

    /// Returns how long it lasts until the broker is healed.
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Kill | Self::Cut => Duration::ZERO,
            Self::Memory | Self::Disk => ALARM,
        }
    }

    /// Returns how long it takes to make the broker well again, about.
    pub(crate) fn recovery(self) -> Duration {
        match self {
            Self::Kill => RESTART,
            Self::Cut | Self::Memory | Self::Disk => Duration::ZERO,
        }
    }
}

impl BrokerKind {
    /// Brings up a fresh broker in a folder, and returns its URL.
    pub(crate) fn start(self, folder: &Path) -> io::Result<String> {
        match self {
            Self::Sqlite => Ok(sqlite::url(folder)),
            Self::Rabbitmq => rabbitmq::start(folder),
        }
    }

    /// Stops what [`start`](Self::start) has brought up.
    pub(crate) fn stop(self, folder: &Path) -> io::Result<()> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Rabbitmq => rabbitmq::stop(folder),
        }
    }

    /// True when it settles a job and stores what follows in one step.
    pub(crate) fn is_atomic(self) -> bool {
        self == Self::Sqlite
    }

    /// Returns what the broker's own check finds wrong, if anything.
    pub(crate) fn damage(self, folder: &Path) -> Result<Option<String>, BoxError> {
        match self {
            Self::Sqlite => sqlite::damage(folder),
            Self::Rabbitmq => Ok(rabbitmq::damage(folder)),
        }
    }

    /// Takes from a living process what tells the others that it lives, so that they take its jobs. False when it had
    /// nothing of the kind yet, or never has.
    pub(crate) fn rob(self, process: u32) -> io::Result<bool> {
        match self {
            Self::Sqlite => sqlite::rob(process),
            Self::Rabbitmq => Ok(false),
        }
    }

    /// Harms the broker itself.
    pub(crate) fn strike(self, folder: &Path, blow: Blow) -> io::Result<()> {
        match self {
            Self::Sqlite => Err(io::Error::other("the embedded broker has no process of its own to harm")),
            Self::Rabbitmq => rabbitmq::strike(folder, blow),
        }
    }

    /// Makes it well again.
    pub(crate) fn heal(self, folder: &Path, blow: Blow) -> io::Result<()> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Rabbitmq => rabbitmq::heal(folder, blow),
        }
    }

    /// Returns what each queue holds by the broker's own count, where it has a count of its own beside the seam.
    pub(crate) fn queues(self, folder: &Path) -> io::Result<Option<Vec<(String, u64)>>> {
        match self {
            Self::Sqlite => Ok(None),
            Self::Rabbitmq => rabbitmq::queues(folder).map(Some),
        }
    }

    /// Returns how long the queues take, after the processes were started, to be made and to outlive the broker's death.
    pub(crate) fn growth(self) -> Duration {
        match self {
            Self::Sqlite => Duration::ZERO,
            Self::Rabbitmq => GROWTH,
        }
    }

    /// Returns how old its count may be.
    pub(crate) fn count_age(self) -> Duration {
        match self {
            Self::Sqlite => Duration::ZERO,
            Self::Rabbitmq => COUNT_AGE_MAX,
        }
    }
}

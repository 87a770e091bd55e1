//! What all processes share beside their jobs: settings, roles, the list of queues, and the chores.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio_util::task::TaskTracker;

use crate::broker::amqp::census::Census;
use crate::broker::amqp::desk::Office;
use crate::broker::amqp::housekeep::Housekeeper;
use crate::broker::amqp::inspect::Inspector;
use crate::broker::amqp::intake::Life;
use crate::broker::amqp::lead::Leaders;
use crate::broker::amqp::ledger::{Log, Size};
use crate::broker::amqp::link::{Link, Purpose};
use crate::broker::amqp::name::Names;
use crate::broker::amqp::options::AmqpOptions;
use crate::broker::amqp::unrouted::Mover;
use crate::broker::amqp::url::AmqpUrl;

/// One process's part of it.
#[derive(Debug)]
pub(super) struct Realm {
    pub(super) log: Arc<Log>,
    pub(super) leaders: Leaders,
    pub(super) census: Arc<Census>,
    pub(super) inspector: Inspector,
    life: Life,
    is_housekeeping: AtomicBool,
}

/// What it is made of.
pub(super) struct Parts<'a> {
    pub(super) url: Arc<AmqpUrl>,
    pub(super) names: Arc<Names>,
    pub(super) publishing: Arc<Link>,
    pub(super) consuming: Arc<Link>,
    pub(super) office: &'a Office,
    pub(super) life: Life,
    pub(super) options: &'a AmqpOptions,
}

impl Realm {
    /// Makes it; nothing is connected, declared or read before somebody asks for something.
    pub(super) fn new(parts: Parts<'_>) -> Self {
        let Parts { url, names, publishing, consuming, office, life, options } = parts;
        let Office { publisher, handle, clock, .. } = office;
        let link = || Link::open(Purpose::Admin, Arc::clone(&url), handle.clone(), clock.clone());
        // One for the ledger alone: what ends its connection ends nothing else. The other is seldom made.
        let (settings, admin) = (link(), link());
        let log = Log::new(settings, Arc::clone(&names), Size::default(), handle.clone(), clock.clone());
        let leaders = Leaders {
            url,
            names: Arc::clone(&names),
            log: Arc::clone(&log),
            life: life.clone(),
            handle: handle.clone(),
            clock: clock.clone(),
            options: options.clone(),
            held: Arc::default(),
        };
        let mover = Mover {
            consuming,
            publishing,
            publisher: Arc::clone(publisher),
            names: Arc::clone(&names),
            options: options.clone(),
            clock: clock.clone(),
        };
        let census = Arc::new(Census {
            log: Arc::clone(&log),
            mover: Arc::new(mover),
            tasks: TaskTracker::new(),
            handle: handle.clone(),
            declared: Mutex::default(),
        });
        let inspector = Inspector {
            link: admin,
            publisher: Arc::clone(publisher),
            census: Arc::clone(&census),
            declarer: publisher.declarer().beside(),
            names,
            handle: handle.clone(),
            clock: clock.clone(),
        };
        Self { log, leaders, census, inspector, life, is_housekeeping: AtomicBool::new(false) }
    }

    /// Begins to try for the chores: those who consume do them.
    pub(super) fn keep_house(&self) {
        if self.is_housekeeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let Leaders { handle, clock, .. } = &self.leaders;
        let housekeeper = Housekeeper {
            leaders: self.leaders.clone(),
            mover: Arc::clone(&self.census.mover),
            log: Arc::clone(&self.log),
            clock: clock.clone(),
        };
        let closing = self.life.closing.clone();
        handle.spawn(async move { closing.run_until_cancelled(housekeeper.run()).await });
    }

    /// Gives up roles, and ends all waits.
    pub(super) fn end(&self) -> impl Future<Output = ()> + Send + 'static {
        let (leaders, log, admin) = (self.leaders.clone(), Arc::clone(&self.log), Arc::clone(&self.inspector.link));
        let census = Arc::clone(&self.census);
        async move {
            census.settle(&leaders.clock).await;
            leaders.resign().await;
            log.close();
            log.hang_up().await;
            admin.close().await;
        }
    }
}

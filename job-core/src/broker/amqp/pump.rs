//! Turns the delay wheel: moves what is due to its own queue, and what lies in coarse slots to finer ones.
//!
//! Every process that consumes has a pump, and about two of them turn the wheel; RabbitMQ hands each message to one of
//! those. A message is published, that is confirmed, and only then the message in the slot acknowledged: a pump that dies
//! in between leaves both, at most a prefetch of them, and none is ever lost. What is decided is in
//! [`wheel`](crate::broker::amqp::wheel); here it is done.
//!
//! It looks and drains by the connection that consumes, and publishes by the one that publishes: a block of the latter
//! stops moves, and nothing else.

mod carry;
mod look;
mod parcel;
mod receipt;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::broker::amqp::declare::Declarer;
use crate::broker::amqp::intake::Life;
use crate::broker::amqp::link::Link;
use crate::broker::amqp::name::Names;
use crate::broker::amqp::session::Session;
use crate::broker::amqp::wheel::{Geometry, Seat, SlotId, Turn};
use crate::clock::Clock;
use crate::error::Result;

use carry::Carrier;
use look::{Depth, Looker};

/// Slots that one pump drains at once. More would only hold more messages: one drain keeps a connection busy.
const DRAINS_MAX: usize = 4;

/// Consumers of a slot, of all processes, beyond which another would not make it faster.
const CONSUMERS_MAX: u32 = 2;

/// How long one try waits for a connection; there is always another.
const TRY_MAX: Duration = Duration::from_secs(30);

/// The pause after a connection was lost is a random part of this: pumps should not come back together.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What a pump turns the wheel with.
#[derive(Debug)]
pub(super) struct Pump {
    pub(super) consuming: Arc<Link>,
    pub(super) publishing: Arc<Link>,
    /// Declares on the connection that consumes.
    pub(super) declarer: Declarer,
    pub(super) names: Arc<Names>,
    pub(super) geometry: Geometry,
    pub(super) life: Life,
    pub(super) clock: Clock,
}

/// Drains under way; each ends with its slot, and whether all went well.
type Drains = JoinSet<(SlotId, Result<()>)>;

/// One pump on one connection.
struct Turning<'a> {
    pump: &'a Arc<Pump>,
    session: &'a Arc<Session>,
    looker: Looker,
    seat: Seat,
    draining: Vec<SlotId>,
    drains: Drains,
}

impl Pump {
    /// Begins to turn the wheel, until the broker closes.
    pub(super) fn start(self, tasks: &TaskTracker, handle: &Handle) {
        tasks.spawn_on(Arc::new(self).run(), handle);
    }

    async fn run(self: Arc<Self>) {
        let mut turn = Turn::new(self.geometry);
        while !self.life.closing.is_cancelled() && !self.consuming.is_closed() {
            let turned = async {
                let session = self.consuming.session(TRY_MAX).await?;
                self.turn_on(&session, &mut turn).await
            };
            if let Err(error) = turned.await {
                tracing::debug!(target: "job", %error, "the delay wheel stands still here for now");
            }
            turn.interrupt();
            tokio::select! {
                () = self.life.closing.cancelled() => {}
                () = self.clock.sleep(PAUSE_MAX.mul_f64(fastrand::f64())) => {}
            }
        }
    }

    /// Turns the wheel until the connection is lost, which is an error, or the broker closes.
    async fn turn_on(self: &Arc<Self>, session: &Arc<Session>, turn: &mut Turn) -> Result<()> {
        let looker = Looker::open(self, session).await?;
        let (seat, draining, drains) = (Seat::default(), Vec::new(), Drains::new());
        let mut turning = Turning { pump: self, session, looker, seat, draining, drains };
        let result = turning.run(turn).await;
        // They acknowledge what they have moved, and give back what they hold; what a connection held that is lost has gone
        // back with it.
        while session.is_alive() {
            tokio::select! {
                ended = turning.drains.join_next() => if ended.is_none() { break },
                () = session.lost() => {}
            }
        }
        result
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }
}

impl Turning<'_> {
    async fn run(&mut self, turn: &mut Turn) -> Result<()> {
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                () = self.pump.life.closing.cancelled() => return Ok(()),
                () = self.session.lost() => return Err(look::lost()),
                Some(ended) = self.drains.join_next() => {
                    self.note(ended.ok(), turn);
                    continue;
                }
                () = self.pump.clock.sleep(pause) => {}
            }
            if let Err(error) = self.tick(turn).await {
                tracing::debug!(target: "job", %error, "a look at the delay wheel failed");
                // A channel that was closed is never used again.
                self.looker = Looker::open(self.pump, self.session).await?;
                self.seat.leave();
            }
            pause = turn.pause(self.pump.now(), fastrand::f64(), self.seat.is_standby());
        }
    }

    async fn tick(&mut self, turn: &mut Turn) -> Result<()> {
        if self.seat.is_count_due() {
            self.seat.count(self.looker.turning().await?, fastrand::f64());
            self.looker.set_counted(!self.seat.is_standby()).await?;
        }
        let tick = turn.begin(self.pump.now(), fastrand::f64(), self.seat.is_standby());
        let mut is_whole = true;
        for &slot in &tick.in_turn {
            let Some(depth) = self.looker.look(slot).await? else {
                // It may hold something all the same.
                turn.failed(slot, self.pump.now());
                continue;
            };
            if depth.ready == 0 {
                turn.cleared(slot);
            }
            is_whole &= self.drain(slot, depth);
        }
        for &slot in &tick.to_sweep {
            let Some(depth) = self.looker.look(slot).await? else { continue };
            if depth.ready > 0 && self.is_overdue(slot).await? {
                is_whole &= self.drain(slot, depth);
            }
        }
        if is_whole {
            turn.finish(&tick);
        }
        Ok(())
    }

    /// Says whether something in a slot may have missed its turn.
    async fn is_overdue(&mut self, slot: SlotId) -> Result<bool> {
        let Pump { geometry, .. } = **self.pump;
        if self.draining.contains(&slot) || !geometry.is_ahead(slot, self.pump.now()) {
            return Ok(true);
        }
        let seen = self.looker.peek(slot).await?;
        let now = self.pump.now();
        Ok(seen.into_iter().any(|due| due.is_none_or(|due| !geometry.belongs(slot, due, now))))
    }

    /// Begins to drain a slot that holds something; `false` when that has to wait.
    fn drain(&mut self, slot: SlotId, depth: Depth) -> bool {
        if depth.ready == 0 || depth.consumers >= CONSUMERS_MAX || self.draining.contains(&slot) {
            return true;
        }
        if self.draining.len() >= DRAINS_MAX {
            return false;
        }
        self.draining.push(slot);
        let (pump, session) = (Arc::clone(self.pump), Arc::clone(self.session));
        self.drains.spawn(async move { (slot, Carrier::drain(&pump, session, slot, depth.ready).await) });
        true
    }

    fn note(&mut self, ended: Option<(SlotId, Result<()>)>, turn: &mut Turn) {
        // A drain that panicked is none that we know of: forget all, and look anew.
        let Some((slot, result)) = ended else {
            self.draining.clear();
            return;
        };
        self.draining.retain(|draining| *draining != slot);
        match result {
            Ok(()) => turn.cleared(slot),
            Err(error) => {
                tracing::debug!(target: "job", %error, ?slot, "jobs that are due could not be moved; they are tried again");
                turn.failed(slot, self.pump.now());
            }
        }
    }
}

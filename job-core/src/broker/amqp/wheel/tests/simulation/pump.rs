//! The pumps of a simulated world: what the real one does, with the decisions of the module under test.

use std::collections::VecDeque;

use crate::broker::amqp::wheel::drain::{Drain, Step};
use crate::broker::amqp::wheel::geometry::{Geometry, SlotId};
use crate::broker::amqp::wheel::seat::Seat;
use crate::broker::amqp::wheel::tests::simulation::broker::Message;
use crate::broker::amqp::wheel::tests::simulation::{Event, World};
use crate::broker::amqp::wheel::turn::{PEEK, Tick, Turn};

const LOOK_MS: i64 = 1;
/// Messages that are moved in one event, which takes `MOVES_MS`.
const MOVES: usize = 32;
const MOVES_MS: i64 = 7;
/// How long a pump may hang until its heartbeats have been missed, and the broker drops it.
const HEARTBEAT_MS: i64 = 25_000;

/// A pump, and what it is about to do.
#[derive(Debug)]
pub(crate) struct Pump {
    skew: i64,
    turn: Turn,
    seat: Seat,
    tick: Option<Tick>,
    looks: VecDeque<(SlotId, bool)>,
    drains: VecDeque<Draining>,
    /// When it ticks next, and when it did so last; the one by the true time, the other by its own.
    tick_at: i64,
    ticked_at: i64,
}

#[derive(Debug)]
struct Draining {
    slot: SlotId,
    drain: Drain,
    held: Vec<Message>,
}

impl Pump {
    pub(crate) fn new(geometry: Geometry, skew: i64) -> Self {
        Self {
            skew,
            turn: Turn::new(geometry),
            seat: Seat::default(),
            tick: None,
            looks: VecDeque::new(),
            drains: VecDeque::new(),
            tick_at: 0,
            ticked_at: i64::MAX,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.drains.is_empty()
    }
}

impl World {
    /// Lets a pump do the next thing: move messages and look at a slot, or tick, or wait.
    pub(crate) fn act(&mut self, pump: usize) {
        if self.now < self.away_until {
            self.disconnect(pump);
            let at = self.away_until + self.random.i64(0..1000);
            return self.schedule(at, Event::Act { pump });
        }
        let mut cost = 0;
        if self.pumps[pump].tick.is_none() && self.now >= self.pumps[pump].tick_at {
            cost += self.tick(pump);
        } else if let Some((slot, is_in_turn)) = self.pumps[pump].looks.pop_front() {
            cost += LOOK_MS + self.look(pump, slot, is_in_turn);
        } else if let Some(tick) = self.pumps[pump].tick.take() {
            self.pumps[pump].turn.finish(&tick);
            self.await_tick(pump);
        }
        if let Some(draining) = self.pumps[pump].drains.pop_front() {
            cost += MOVES_MS;
            self.drain(pump, draining);
        }
        let is_waiting = self.pumps[pump].tick.is_none() && self.pumps[pump].is_idle();
        let at = if is_waiting { self.pumps[pump].tick_at.max(self.now + cost) } else { self.now + cost };
        self.schedule(at, Event::Act { pump });
    }

    fn tick(&mut self, pump: usize) -> i64 {
        let faults = self.plan.faults;
        if self.strikes(faults.restart) {
            self.disconnect(pump);
            self.pumps[pump] = Pump::new(self.plan.geometry, self.pumps[pump].skew);
        }
        if self.strikes(faults.step) {
            self.pumps[pump].skew = self.random.i64(-30_000..=30_000);
        }
        if self.calms_in() <= 0 {
            // Calm also means that clocks are right again.
            self.pumps[pump].skew = self.pumps[pump].skew.clamp(-faults.skew_ms, faults.skew_ms);
        }
        let turning = self.pumps.iter().filter(|pump| !pump.seat.is_standby()).count();
        let (now, random) = (self.now + self.pumps[pump].skew, self.random.f64());
        let flaws = self.plan.flaws;
        let this = &mut self.pumps[pump];
        if this.seat.is_count_due() {
            this.seat.count(u32::try_from(turning).unwrap(), random);
        }
        let tick = this.turn.begin(now, random, this.seat.is_standby());
        let gap = (now - std::mem::replace(&mut this.ticked_at, now)) / self.plan.geometry.width_ms;
        let geometry = self.plan.geometry;
        let slots = match flaws.is_widening {
            true => Geometry { behind: gap.clamp(geometry.behind, geometry.slots - 1), ..geometry }.in_turn(now),
            false => tick.in_turn.clone(),
        };
        this.looks.extend(slots.into_iter().map(|slot| (slot, true)));
        if !flaws.is_sweepless && !flaws.is_widening {
            this.looks.extend(tick.to_sweep.iter().map(|slot| (*slot, false)));
        }
        this.tick = Some(tick);
        self.hang(pump)
    }

    /// Returns how long a pump hangs, after it has decided where to look.
    fn hang(&mut self, pump: usize) -> i64 {
        if self.strikes(self.plan.faults.outage) {
            self.away_until = self.now + self.random.i64(0..2 * 24 * 3_600_000).min(self.calms_in());
        }
        if !self.strikes(self.plan.faults.freeze) {
            return 0;
        }
        let pause = self.random.i64(0..300_000).min(self.calms_in());
        if pause > HEARTBEAT_MS {
            self.disconnect(pump);
        }
        pause
    }

    fn await_tick(&mut self, pump: usize) {
        let (now, random) = (self.now + self.pumps[pump].skew, self.random.f64());
        let pause = self.pumps[pump].turn.pause(now, random, self.pumps[pump].seat.is_standby());
        let at = self.now + i64::try_from(pause.as_millis()).unwrap();
        self.pumps[pump].tick_at = if self.plan.is_leaping { at.max(self.next_turn()) } else { at };
    }

    /// Returns a moment shortly before anything can happen.
    fn next_turn(&self) -> i64 {
        let geometry = self.plan.geometry;
        let turns = self.broker.occupied().map(|slot| geometry.turn_at(slot, self.now));
        turns.chain(self.moments.last().copied()).min().map_or(0, |at| at - 3000)
    }

    fn look(&mut self, pump: usize, slot: SlotId, is_in_turn: bool) -> i64 {
        let ready = self.broker.ready(slot);
        let is_draining = self.pumps[pump].drains.iter().any(|draining| draining.slot == slot);
        if ready > 0 && !is_draining && self.broker.consumers(slot) < 2 && (is_in_turn || self.is_overdue(pump, slot)) {
            self.outcome.rescues += usize::from(!is_in_turn);
            let drain = Drain::new(self.plan.geometry, slot, u32::try_from(ready).unwrap());
            self.broker.attach(slot);
            self.pumps[pump].drains.push_back(Draining { slot, drain, held: Vec::new() });
        }
        let slowness = self.plan.faults.slowness;
        if self.strikes(slowness) { self.random.i64(0..20_000) } else { 0 }
    }

    fn is_overdue(&mut self, pump: usize, slot: SlotId) -> bool {
        let now = self.now + self.pumps[pump].skew;
        let geometry = self.plan.geometry;
        let seen = self.broker.peek(slot, usize::from(PEEK));
        !geometry.is_ahead(slot, now) || seen.iter().any(|seen| !geometry.belongs(slot, self.jobs[seen.job].due, now))
    }

    fn drain(&mut self, pump: usize, mut draining: Draining) {
        let slot = draining.slot;
        for _ in 0..MOVES {
            let message = if draining.drain.is_over() { None } else { self.broker.pop(slot) };
            let Some(message) = message else {
                draining.held.into_iter().rev().for_each(|held| self.broker.push_front(slot, held));
                self.broker.detach(slot);
                return;
            };
            self.take(pump, &mut draining, message);
            if draining.drain.needs_room() {
                draining.drain.make_room();
            }
        }
        self.pumps[pump].drains.push_back(draining);
    }

    fn take(&mut self, pump: usize, draining: &mut Draining, message: Message) {
        let now = self.now + self.pumps[pump].skew;
        let (slot, due) = (draining.slot, self.jobs[message.job].due);
        let mut step = draining.drain.take(Some(due), now);
        if self.plan.flaws.is_trusting {
            step = Step::Leave;
        }
        if self.plan.flaws.is_republishing && step == Step::Hold {
            step = Step::Go(self.plan.geometry.place(due, now));
        }
        let faults = self.plan.faults;
        if step == Step::Hold {
            self.outcome.held += 1;
            draining.held.push(message);
            return;
        }
        self.outcome.publishes += 1;
        if self.strikes(faults.refusal) {
            return self.refuse(draining, message, due, now);
        }
        match step {
            Step::Go(target) => self.move_on(slot, target, message),
            _ => self.leave(message.job, now),
        }
        if self.strikes(faults.tear) {
            self.outcome.torn += 1;
            self.broker.push_front(slot, message);
        }
    }

    /// Puts a message aside that its queue does not take, or holds it when no slot takes it either.
    fn refuse(&mut self, draining: &mut Draining, message: Message, due: i64, now: i64) {
        if due > now || self.strikes(self.plan.faults.refusal) {
            draining.drain.hold();
            return draining.held.push(message);
        }
        let aside = draining.drain.aside(Some(due), now, self.random.f64());
        self.outcome.circles += usize::from(aside == draining.slot);
        self.broker.push(aside, message);
    }

    fn move_on(&mut self, slot: SlotId, target: SlotId, message: Message) {
        let hops = message.hops + 1;
        self.outcome.circles += usize::from(slot == target);
        self.outcome.excess_hops = self.outcome.excess_hops.max(hops - self.jobs[message.job].hops_due);
        self.broker.push(target, Message { hops, ..message });
    }

    fn leave(&mut self, job: usize, now: i64) {
        let calm = super::START + self.plan.calm_after_ms;
        let job = &mut self.jobs[job];
        self.waiting -= usize::from(job.departures == 0);
        job.departures += 1;
        self.outcome.early += usize::from(now < job.due);
        let late = self.now - job.due;
        self.outcome.late_ms = self.outcome.late_ms.max(late);
        if job.due > calm + 120_000 {
            self.outcome.late_calm_ms = self.outcome.late_calm_ms.max(late);
        }
    }

    /// Takes a pump's connection: what it held goes back to the front, and it begins anew.
    fn disconnect(&mut self, pump: usize) {
        let this = &mut self.pumps[pump];
        this.turn.interrupt();
        this.seat.leave();
        this.tick = None;
        this.looks.clear();
        for draining in std::mem::take(&mut this.drains) {
            self.broker.detach(draining.slot);
            draining.held.into_iter().rev().for_each(|held| self.broker.push_front(draining.slot, held));
        }
    }
}

//! What becomes of each message of a slot that is drained, and when the drain ends.
//!
//! A drain ends after as many messages as the slot held when it began, and a few more: one that went on until the slot is
//! empty could go on for ever.

use crate::broker::amqp::wheel::geometry::{Geometry, SlotId};

/// Messages of a drain that are neither acked nor held. A pump that dies duplicates at most these.
const PREFETCH: u16 = 256;

/// Messages held back for which a drain takes as many more. RabbitMQ hands out what it gets back before all others: a
/// drain that gave back what it holds would meet it again, and nothing else.
const HELD_STEP: u16 = 128;

/// Messages held back at the most: sixteen steps.
const HELD_MAX: u16 = 16 * HELD_STEP;

/// The wait of a job whose queue does not take it: as long as it has waited in vain, within these.
const ASIDE_SLOTS_MIN: i64 = 2;
const ASIDE_SLOTS_MAX: i64 = 60;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is due: it leaves the wheel for its destination.
    Leave,
    /// It goes on to another slot.
    Go(SlotId),
    /// It is neither published nor acked, and goes back when the drain ends. Published into the queue that is being
    /// drained it would come round again at once, without end.
    Hold,
}

/// The course of one drain.
#[derive(Debug)]
pub(crate) struct Drain {
    geometry: Geometry,
    slot: SlotId,
    left: u64,
    held: u16,
    room: u16,
}

impl Drain {
    /// Messages that a drain takes ahead.
    pub(crate) const PREFETCH: u16 = PREFETCH;

    /// Messages more that it takes ahead each time it needs [more room](Self::needs_room).
    pub(crate) const ROOM: u16 = HELD_STEP;

    /// Begins a drain of a slot that holds `ready` messages.
    pub(crate) fn new(geometry: Geometry, slot: SlotId, ready: u32) -> Self {
        Self { geometry, slot, left: u64::from(ready) + u64::from(PREFETCH), held: 0, room: HELD_STEP }
    }

    /// Takes one message, due at `due`; one that does not say when is due.
    pub(crate) fn take(&mut self, due: Option<i64>, now: i64) -> Step {
        self.left = self.left.saturating_sub(1);
        let step = self.step(due, now);
        if step == Step::Hold {
            self.hold();
        }
        step
    }

    /// Learns that a message cannot be moved at all: it is held back.
    pub(crate) fn hold(&mut self) {
        self.held += 1;
    }

    /// True when so much is held back that others would not pass unless more is taken ahead.
    pub(crate) fn needs_room(&self) -> bool {
        self.held >= self.room && self.held < HELD_MAX
    }

    /// Learns that [`ROOM`](Self::ROOM) more are taken ahead.
    pub(crate) fn make_room(&mut self) {
        self.room += HELD_STEP;
    }

    /// True when it has taken all that it should.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0 || self.held >= HELD_MAX
    }

    /// Returns where a message waits whose queue does not take it, so that it stands in nobody's way. The longer it has
    /// been due the longer it waits, spread by `random`, from 0 to 1.
    pub(crate) fn aside(&self, due: Option<i64>, now: i64, random: f64) -> SlotId {
        let width = self.geometry.width(0);
        let overdue = now - due.unwrap_or(now);
        let wait = overdue.clamp(ASIDE_SLOTS_MIN * width, ASIDE_SLOTS_MAX * width);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a minute in milliseconds")]
        let at = now + wait + (wait as f64 * random / 2.0) as i64;
        let places = [at, at + self.geometry.width(self.slot.level)].map(|at| self.geometry.place(at, now));
        if places[0] == self.slot { places[1] } else { places[0] }
    }

    fn step(&self, due: Option<i64>, now: i64) -> Step {
        let Some(due) = due.filter(|due| *due > now) else { return Step::Leave };
        let place = self.geometry.place(due, now);
        if place == self.slot || self.geometry.belongs(self.slot, due, now) { Step::Hold } else { Step::Go(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::amqp::wheel::geometry::V1;

    const NOON: i64 = 4096 * 32_000 * 13_000;

    fn check(level: u8, index: u8, delay: Option<i64>, expected: Step) {
        let mut drain = Drain::new(V1, SlotId { level, index }, 1);
        let step = drain.take(delay.map(|delay| NOON + delay), NOON);
        assert_eq!(step, expected, "due in {delay:?} ms, from slot {index} of level {level}");
    }

    #[test]
    fn a_message_leaves_goes_on_or_is_held() {
        check(0, 0, None, Step::Leave);
        check(0, 0, Some(0), Step::Leave);
        check(0, 30, Some(-1000), Step::Leave);
        check(0, 0, Some(1), Step::Go(SlotId { level: 0, index: 1 }));
        check(1, 0, Some(15_500), Step::Go(SlotId { level: 0, index: 16 }));
        check(3, 0, Some(4_000_000), Step::Go(SlotId { level: 2, index: 15 }));
        // Beyond the last level: on to its far end, though the slot's next turn would still be early enough.
        check(3, 0, Some(400 * 4_096_000), Step::Go(SlotId { level: 3, index: 18 }));
        // Met out of turn.
        check(0, 5, Some(4500), Step::Hold);
        check(1, 18, Some(18 * 16_000), Step::Hold);
        // Put ahead by a clock that is a little fast: it stays, or two pumps could push it to and fro.
        check(0, 24, Some(24_000), Step::Hold);
    }

    #[test]
    fn what_is_held_leaves_room_for_others_up_to_a_bound() {
        let mut drain = Drain::new(V1, SlotId { level: 0, index: 5 }, 10_000);
        let (mut taken, mut ahead) = (0, Drain::PREFETCH);
        while !drain.is_over() {
            assert_eq!(drain.take(Some(NOON + 4500), NOON), Step::Hold);
            taken += 1;
            if drain.needs_room() {
                drain.make_room();
                ahead += Drain::ROOM;
            }
            assert!(ahead - drain.held >= Drain::PREFETCH / 2, "something else always passes");
        }
        assert_eq!(taken, 2048);
    }

    #[test]
    fn a_drain_ends_though_others_come() {
        let mut drain = Drain::new(V1, SlotId { level: 0, index: 0 }, 1000);
        let taken = (0..).find(|_| drain.is_over() || drain.take(None, NOON) != Step::Leave);
        assert_eq!(taken, Some(1256));
    }

    #[test]
    fn what_its_queue_refuses_waits_elsewhere_ever_longer() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..10_000 {
            let now = NOON + random.i64(0..100_000_000);
            let slot = SlotId { level: random.u8(0..4), index: random.u8(0..32) };
            let overdue = random.i64(0..200_000);
            let aside = Drain::new(V1, slot, 1).aside(Some(now - overdue), now, random.f64());
            assert_ne!(aside, slot);
            let wait = V1.turn_at(aside, now) - now;
            // Up to the beginning of the next slot, or the one after that where this is the slot that is drained.
            let most = overdue.clamp(2000, 60_000) * 3 / 2 + 17_000;
            assert!(wait > 0 && wait <= most, "{wait} ms when it was due {overdue} ms ago");
        }
    }
}

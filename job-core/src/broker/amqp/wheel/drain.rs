//! What becomes of each message of a slot that is drained, and when the drain ends.
//!
//! A drain ends after as many messages as the slot held when it began, and a few more: one that went on until the slot is
//! empty could go on for ever, as what it returns comes round again.

use crate::broker::amqp::wheel::geometry::{Geometry, SlotId};

/// Messages of a drain that are neither acked nor returned. A pump that dies duplicates at most these.
const PREFETCH: u16 = 256;

/// Messages held back at once: half of the prefetch, so that the others always pass.
const HELD_MAX: u16 = PREFETCH / 2;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is due: it leaves the wheel for its destination.
    Leave,
    /// It goes on to another slot.
    Go(SlotId),
    /// It is neither published nor acked, and returned later. Published into the queue that is being drained it would come
    /// round again at once, without end.
    Hold,
}

/// The course of one drain.
#[derive(Debug)]
pub(crate) struct Drain {
    geometry: Geometry,
    slot: SlotId,
    left: u64,
    held: u16,
}

impl Drain {
    /// Messages that a drain takes ahead.
    pub(crate) const PREFETCH: u16 = PREFETCH;

    /// Begins a drain of a slot that holds `ready` messages.
    pub(crate) fn new(geometry: Geometry, slot: SlotId, ready: u32) -> Self {
        Self { geometry, slot, left: u64::from(ready) + u64::from(PREFETCH), held: 0 }
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

    /// Learns that a message could not be moved: it is held back.
    pub(crate) fn hold(&mut self) {
        self.held += 1;
    }

    /// True when so much is held back that it has to be returned before the drain goes on.
    pub(crate) fn is_full(&self) -> bool {
        self.held >= HELD_MAX
    }

    /// Learns that what was held back has been returned, behind all that waits in the slot.
    pub(crate) fn returned(&mut self) {
        self.held = 0;
    }

    /// True when it has taken all that it should.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
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
    fn a_drain_ends_though_what_it_returns_comes_round_again() {
        let mut drain = Drain::new(V1, SlotId { level: 0, index: 5 }, 1000);
        let mut taken = 0;
        while !drain.is_over() {
            assert_eq!(drain.take(Some(NOON + 4500), NOON), Step::Hold);
            taken += 1;
            if drain.is_full() {
                drain.returned();
            }
            assert!(drain.held < Drain::PREFETCH, "something else always passes");
        }
        assert_eq!(taken, 1000 + 256);
    }
}

//! Where the slots lie: levels, widths and distances, and the one rule for what belongs where.

use std::ops::Range;
use std::time::Duration;

/// The wheel of today. Its numbers are part of the queues' names: change one, and the version changes.
pub(crate) const V1: Geometry =
    Geometry { width_ms: 1000, levels: 4, slots: 32, ratio: 16, horizon: 18, behind: 6, guard: 7 };

// Other numbers may livelock.
const _: () = assert!(V1.is_sound());

/// Slots that are tried in place of another.
const INSTEAD: usize = 3;

/// One slot of the wheel, which is one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotId {
    /// 0 is the finest.
    pub(crate) level: u8,
    /// Counts from 0 within the level.
    pub(crate) index: u8,
}

/// The numbers of a wheel, all but the width counted in slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    /// How long a slot of level 0 lasts.
    pub(crate) width_ms: i64,
    pub(crate) levels: u8,
    /// Slots a level (B).
    pub(crate) slots: i64,
    /// How many slots of a level last as long as one of the next (k).
    pub(crate) ratio: i64,
    /// The farthest slot that a job is put in (H).
    pub(crate) horizon: i64,
    /// Slots behind the current one that are looked at again (R).
    pub(crate) behind: i64,
    /// Slots that are neither (G).
    pub(crate) guard: i64,
}

impl Geometry {
    /// Returns the wheel of today with finest slots of this width.
    pub(crate) fn of(slot_width: Duration) -> Self {
        let width_ms = i64::try_from(slot_width.as_millis()).unwrap_or(i64::MAX >> 16);
        Self { width_ms: width_ms.clamp(1, i64::MAX >> 16), ..V1 }
    }

    /// True when the numbers are those of a wheel that turns; the module's documentation says why.
    pub(crate) const fn is_sound(&self) -> bool {
        let is_falling = self.horizon > self.ratio;
        let is_apart = self.slots > self.horizon + self.behind + self.guard;
        is_falling && is_apart && self.width_ms > 0 && self.guard > 0 && self.levels > 0
    }

    /// Returns the slot in which a job waits that is due at `due`, put there at `now`. One that is due already goes to the
    /// slot that has its turn next.
    pub(crate) fn place(&self, due: i64, now: i64) -> SlotId {
        for level in 0..self.levels {
            let (tick, current) = (self.tick_of(level, due), self.current(level, now));
            if tick - current <= self.horizon {
                // Behind the current slot nobody looks for long: what is due already goes to the next one.
                return self.slot(level, tick.max(current + 1));
            }
        }
        let last = self.levels - 1;
        self.slot(last, self.current(last, now) + self.horizon)
    }

    /// Returns slots that a job may wait in when it cannot be put where it [belongs](Self::place), best first. The finest
    /// slots come to their turn a little late; a job for a coarse one waits on the finest level for a while, and is placed
    /// anew then.
    pub(crate) fn instead_of(&self, slot: SlotId, now: i64) -> [SlotId; INSTEAD] {
        let current = self.current(0, now);
        std::array::from_fn(|nth| {
            let nth = i64::try_from(nth).expect("a few slots");
            match slot.level {
                0 => self.slot(0, current + self.distance(slot, now) + 1 + nth),
                _ => self.slot(0, current + self.horizon - nth),
            }
        })
    }

    /// True when a job may wait in this slot: the slot's turn lies ahead, where jobs are put, and comes no later than the
    /// job is due.
    pub(crate) fn belongs(&self, slot: SlotId, due: i64, now: i64) -> bool {
        let distance = self.distance(slot, now);
        let turn = self.current(slot.level, now) + distance;
        self.is_ahead(slot, now) && turn <= self.tick_of(slot.level, due)
    }

    /// True when jobs may wait in this slot: it is not the current one, and none of those that lie behind.
    pub(crate) fn is_ahead(&self, slot: SlotId, now: i64) -> bool {
        (1..=self.horizon + self.guard).contains(&self.distance(slot, now))
    }

    /// Returns the slots whose turn it is, newest first, finest level first: on level 0 the current one and those behind
    /// it, on the others those that were current during that time.
    pub(crate) fn in_turn(&self, now: i64) -> Vec<SlotId> {
        let since = now - self.behind * self.width_ms;
        let ticks = |level| (self.current(level, since)..=self.current(level, now)).rev();
        (0..self.levels).flat_map(|level| ticks(level).map(move |tick| self.slot(level, tick))).collect()
    }

    /// Returns all slots of a level.
    pub(crate) fn level(&self, level: u8) -> impl Iterator<Item = SlotId> + use<> {
        let indices: Range<i64> = 0..self.slots;
        indices.map(move |index| SlotId { level, index: index_of(index) })
    }

    /// Returns which slot of level 0 is current, counted from 1970.
    pub(crate) fn now_tick(&self, now: i64) -> i64 {
        self.current(0, now)
    }

    /// Returns when a slot next has its turn, `now` if it has it.
    #[cfg(test)]
    pub(crate) fn turn_at(&self, slot: SlotId, now: i64) -> i64 {
        ((self.current(slot.level, now) + self.distance(slot, now)) * self.width(slot.level)).max(now)
    }

    /// Returns how long a slot of a level lasts.
    pub(crate) fn width(&self, level: u8) -> i64 {
        self.width_ms * self.ratio.pow(u32::from(level))
    }

    fn current(&self, level: u8, now: i64) -> i64 {
        now.div_euclid(self.width(level))
    }

    /// Returns the tick of a level at which a job's slot has its turn. On level 0 all of a slot is due by then, so that
    /// nothing leaves early; on the others nothing is due before, so that nothing leaves late.
    fn tick_of(&self, level: u8, due: i64) -> i64 {
        match level {
            0 => -(-due).div_euclid(self.width_ms),
            _ => due.div_euclid(self.width(level)),
        }
    }

    /// Returns how many slots ahead of the current one a slot lies, 0 up to B − 1.
    fn distance(&self, slot: SlotId, now: i64) -> i64 {
        (i64::from(slot.index) - self.current(slot.level, now)).rem_euclid(self.slots)
    }

    fn slot(&self, level: u8, tick: i64) -> SlotId {
        SlotId { level, index: index_of(tick.rem_euclid(self.slots)) }
    }
}

fn index_of(slot: i64) -> u8 {
    u8::try_from(slot).expect("a level has at most 256 slots")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1000;
    const HOUR: i64 = 3600 * SECOND;
    /// A whole number of turns of every level after 1970.
    const NOON: i64 = 4096 * 32 * SECOND * 13_000;

    fn check(delay: i64, level: u8, index: i64) {
        let expected = SlotId { level, index: index_of(index) };
        assert_eq!(V1.place(NOON + delay, NOON), expected, "{delay} ms after a moment at which all turns begin");
    }

    #[test]
    fn a_job_waits_on_the_finest_level_that_reaches_it() {
        check(-5 * HOUR, 0, 1);
        check(0, 0, 1);
        check(1, 0, 1);
        check(SECOND, 0, 1);
        check(SECOND + 1, 0, 2);
        check(18 * SECOND, 0, 18);
        check(18 * SECOND + 1, 1, 1);
        check(32 * SECOND - 1, 1, 1);
        check(32 * SECOND, 1, 2);
        check(19 * 16 * SECOND - 1, 1, 18);
        check(19 * 16 * SECOND, 2, 1);
        check(19 * 256 * SECOND, 3, 1);
        check(19 * 4096 * SECOND - 1, 3, 18);
        check(19 * 4096 * SECOND, 3, 18);
        check(100 * 365 * 24 * HOUR, 3, 18);
    }

    #[test]
    fn instead_of_a_slot_one_does_that_has_its_turn_soon_after_or_early() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..10_000 {
            let now = NOON + random.i64(0..100_000 * HOUR);
            let scale = random.u32(1..38);
            let due = now + random.i64(1..1 << scale);
            let slot = V1.place(due, now);
            for (other, nth) in V1.instead_of(slot, now).into_iter().zip(1..) {
                assert!(other != slot && V1.is_ahead(other, now), "{other:?} instead of {slot:?}");
                let turn = V1.turn_at(other, now);
                match slot.level {
                    0 => assert_eq!(turn, V1.turn_at(slot, now) + nth * SECOND),
                    _ => assert!(turn >= now + 14 * SECOND && turn <= due, "a job is never late for a coarse slot"),
                }
            }
        }
    }

    #[test]
    fn the_numbers_are_those_of_a_wheel_that_turns() {
        assert_eq!(V1.slots, V1.horizon + V1.behind + V1.guard + 1);
        for geometry in [
            Geometry { slots: 31, ..V1 },
            Geometry { ratio: 18, ..V1 },
            Geometry { guard: 0, ..V1 },
            Geometry { ratio: 32, horizon: 31, ..V1 },
        ] {
            assert!(!geometry.is_sound(), "{geometry:?}");
        }
    }

    #[test]
    fn each_second_the_current_slots_and_those_just_behind_have_their_turn() {
        let slots = |level: u8, indices: &[u8]| indices.iter().map(|&index| SlotId { level, index }).collect();
        let expect = |now: i64, expected: [Vec<SlotId>; 4]| assert_eq!(V1.in_turn(now), expected.concat());
        let fine: Vec<SlotId> = slots(0, &[0, 31, 30, 29, 28, 27, 26]);
        expect(NOON, [fine.clone(), slots(1, &[0, 31]), slots(2, &[0, 31]), slots(3, &[0, 31])]);
        expect(NOON + 32 * SECOND, [fine, slots(1, &[2, 1]), slots(2, &[0]), slots(3, &[0])]);
    }

    #[test]
    fn where_a_job_is_put_it_belongs_until_that_slot_has_its_turn() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let now = NOON + random.i64(0..100_000 * HOUR);
            let scale = random.u32(1..38);
            let due = now + random.i64(1..1 << scale);
            let slot = V1.place(due, now);
            assert!(V1.belongs(slot, due, now), "{slot:?} for {due} at {now}");
            let turn = now.div_euclid(V1.width(slot.level)) + V1.distance(slot, now);
            let begins = turn * V1.width(slot.level);
            assert!(V1.belongs(slot, due, begins - 1) && !V1.belongs(slot, due, begins), "{slot:?} until {begins}");
            assert!(V1.in_turn(begins).contains(&slot));
            match slot.level {
                0 => assert!((due..due + SECOND).contains(&begins), "level 0 is due by its turn, and not long before"),
                _ => assert!(begins <= due, "a coarse slot has its turn before its jobs are due"),
            }
        }
    }

    #[test]
    fn a_slot_behind_holds_nothing_rightly() {
        for (index, distance) in [(0, 0), (1, 1), (25, 25), (26, 26), (31, 31)] {
            let slot = SlotId { level: 1, index };
            assert_eq!(V1.is_ahead(slot, NOON), (1..=25).contains(&distance), "{slot:?}");
            assert_eq!(V1.belongs(slot, NOON + 100 * HOUR, NOON), (1..=25).contains(&distance), "{slot:?}");
        }
        let missed = SlotId { level: 0, index: 20 };
        assert!(!V1.belongs(missed, NOON - 12 * SECOND, NOON), "its turn was missed, and comes too late");
        assert!(V1.belongs(missed, NOON + 20 * SECOND, NOON));
    }
}

//! When a pump looks, and at which slots: the clock of one pump.
//!
//! A tick comes with each slot of level 0. Whatever keeps a pump from its ticks, be it a slow broker, a frozen process or
//! a clock that was set, ends in a **sweep**: a look at all slots, those of two levels a tick. A wider window in its place
//! would reach slots that are in use for the next turn.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::broker::amqp::wheel::geometry::{Geometry, SlotId};

/// How often a pump that was never interrupted sweeps all the same, spread by a fifth to both sides so that pumps don't
/// sweep together. It bounds how late a job is that lies where nobody looks.
const SWEEP_EVERY_MS: i64 = 60_000;

/// Levels that one tick sweeps: all of them take a tenth of a second when the queues are there, and two seconds when
/// they have to be made first.
const SWEEP_LEVELS: u8 = 2;

/// Messages that a sweep looks at to tell whether something in a slot is overdue. They go back behind all others, so that
/// the next sweep sees other ones.
pub(crate) const PEEK: u16 = 4;

/// Slots of level 0 between the ticks of a pump on standby, at least and at most. Below the number of slots that are
/// looked at again, so that it misses none, and turns the wheel alone if need be.
const STANDBY_SLOTS: (i64, i64) = (3, 5);

/// By how many twentieths of a slot ticks come after its beginning at the most, so that pumps don't tick together.
const OFFSET_TWENTIETHS: i64 = 1;

/// The pause before a slot is drained again whose drain failed; it doubles each time. Longer than a sweep's it need not be.
const AGAIN_MS: i64 = 1000;
const AGAIN_MS_MAX: i64 = SWEEP_EVERY_MS;

/// Decides which slots a pump looks at.
#[derive(Debug)]
pub(crate) struct Turn {
    geometry: Geometry,
    /// When the latest tick began all of whose looks succeeded.
    whole_at: Option<i64>,
    /// Levels that the sweep has yet to look at, and the next of them. It goes round, so that sweeps which begin anew
    /// all the time still come to the coarse levels.
    levels_left: u8,
    level: u8,
    sweep_at: i64,
    /// Slots whose drain failed: when they are looked at again, and the pause that follows.
    again: BTreeMap<SlotId, (i64, i64)>,
}

/// What to look at now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    now: i64,
    swept: u8,
    /// Slots that have their turn: what is in them is taken out.
    pub(crate) in_turn: Vec<SlotId>,
    /// Slots that are swept: what is in them is taken out if something there is overdue.
    pub(crate) to_sweep: Vec<SlotId>,
}

impl Turn {
    /// Makes the clock of a pump that has just begun. Its first tick sweeps nothing, as processes tend to start together.
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            whole_at: None,
            levels_left: geometry.levels,
            level: 0,
            sweep_at: i64::MIN,
            again: BTreeMap::new(),
        }
    }

    /// Begins a tick. `random`, from 0 to 1, spreads the sweeps; only a pump that is not on standby makes them.
    pub(crate) fn begin(&mut self, now: i64, random: f64, is_standby: bool) -> Tick {
        let is_first = self.whole_at.is_none();
        if self.is_interrupted(now) || (now >= self.sweep_at && !is_standby) {
            self.levels_left = self.geometry.levels;
            self.sweep_at = now + SWEEP_EVERY_MS * 4 / 5 + part(SWEEP_EVERY_MS * 2 / 5, random);
        }
        let swept = if is_first || is_standby { 0 } else { self.levels_left.min(SWEEP_LEVELS) };
        let mut in_turn = self.geometry.in_turn(now);
        let again = self.again.iter().filter(|(slot, (at, _))| *at <= now && !in_turn.contains(slot));
        in_turn.extend(again.map(|(slot, _)| *slot).collect::<Vec<_>>());
        let levels = (0..swept).map(|offset| (self.level + offset) % self.geometry.levels);
        let to_sweep = levels.flat_map(|level| self.geometry.level(level)).filter(|slot| !in_turn.contains(slot));
        Tick { now, swept, to_sweep: to_sweep.collect(), in_turn }
    }

    /// Ends a tick all of whose looks succeeded. One that failed is not ended: its slots are looked at again.
    pub(crate) fn finish(&mut self, tick: &Tick) {
        self.whole_at = Some(tick.now);
        self.level = (self.level + tick.swept) % self.geometry.levels;
        self.levels_left -= tick.swept;
    }

    /// Learns that a slot could not be drained. It is drained again soon, whether or not its turn is over by then.
    pub(crate) fn failed(&mut self, slot: SlotId, now: i64) {
        let (at, pause) = self.again.entry(slot).or_insert((now, AGAIN_MS));
        *at = now + *pause;
        *pause = (*pause * 2).min(AGAIN_MS_MAX);
    }

    /// Learns that a slot is empty, or was drained.
    pub(crate) fn cleared(&mut self, slot: SlotId) {
        self.again.remove(&slot);
    }

    /// Learns that the broker was away: what happened meanwhile is unknown, so that all is swept.
    pub(crate) fn interrupt(&mut self) {
        self.levels_left = self.geometry.levels;
    }

    /// Returns how long after `now` the next tick begins: with the next slot of level 0, and a little later.
    pub(crate) fn pause(&self, now: i64, random: f64, is_standby: bool) -> Duration {
        let (least, most) = STANDBY_SLOTS;
        let slots = if is_standby { least + part(most - least + 1, random) } else { 1 };
        let next = (self.geometry.now_tick(now) + slots) * self.geometry.width_ms;
        let offset = part(self.geometry.width_ms * OFFSET_TWENTIETHS / 20 + 1, random);
        Duration::from_millis((next + offset - now).unsigned_abs())
    }

    /// True when slots went by unseen, or the clock was set back: the next turn of what was put ahead of it may be far.
    fn is_interrupted(&self, now: i64) -> bool {
        let tick = |at| self.geometry.now_tick(at);
        self.whole_at.is_some_and(|whole| !(0..=self.geometry.behind).contains(&(tick(now) - tick(whole))))
    }
}

/// Returns a whole number from 0 up to, not including, `count`.
fn part(count: i64, random: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "minutes in milliseconds")]
    let part = (count as f64 * random) as i64;
    part.clamp(0, count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::amqp::wheel::geometry::V1;

    const NOON: i64 = 4096 * 32_000 * 13_000;

    /// Makes a tick that succeeds, and returns the levels that it swept.
    fn tick(turn: &mut Turn, now: i64, is_standby: bool) -> Vec<u8> {
        let tick = turn.begin(now, 0.5, is_standby);
        assert_eq!(tick.in_turn, V1.in_turn(now));
        assert!(tick.to_sweep.iter().all(|slot| !tick.in_turn.contains(slot)));
        turn.finish(&tick);
        let mut levels: Vec<u8> = tick.to_sweep.iter().map(|slot| slot.level).collect();
        levels.dedup();
        levels
    }

    /// Returns a pump's clock after its first sweep, and when its next tick is due.
    fn settled() -> (Turn, i64) {
        let mut turn = Turn::new(V1);
        let levels: Vec<_> = (0..3).map(|second| tick(&mut turn, NOON + second * 1000, false)).collect();
        assert_eq!(levels, [vec![], vec![0, 1], vec![2, 3]]);
        (turn, NOON + 3000)
    }

    #[test]
    fn all_is_swept_each_minute() {
        let (mut turn, at) = settled();
        let sweeps = |second: &i64| !tick(&mut turn, at + second * 1000, false).is_empty();
        let seconds: Vec<i64> = (0..130).filter(sweeps).collect();
        assert_eq!(seconds, [57, 58, 117, 118]);
    }

    #[test]
    fn what_went_by_unseen_is_swept_at_once() {
        for (gap, expected) in [(1, false), (6, false), (7, true), (3600, true), (-1, true), (-3600, true)] {
            let (mut turn, at) = settled();
            let is_sweeping = !tick(&mut turn, at - 1000 + gap * 1000, false).is_empty();
            assert_eq!(is_sweeping, expected, "{gap} s after the last");
        }
        let (mut turn, at) = settled();
        turn.interrupt();
        assert_eq!(tick(&mut turn, at, false), [0, 1]);
    }

    #[test]
    fn a_tick_that_failed_is_made_again() {
        let (mut turn, at) = settled();
        turn.interrupt();
        let first = turn.begin(at, 0.5, false);
        assert_eq!(turn.begin(at, 0.5, false), first);
        turn.finish(&first);
        assert_eq!(tick(&mut turn, at + 1000, false), [2, 3]);
    }

    #[test]
    fn a_slot_whose_drain_failed_is_looked_at_again_ever_later() {
        let (mut turn, at) = settled();
        let slot = SlotId { level: 2, index: 9 };
        let mut seconds = Vec::new();
        turn.failed(slot, at);
        for second in 0..=200 {
            let tick = turn.begin(at + second * 1000, 0.5, false);
            if tick.in_turn.contains(&slot) {
                seconds.push(second);
                turn.failed(slot, at + second * 1000);
            }
            turn.finish(&tick);
        }
        assert_eq!(seconds, [1, 3, 7, 15, 31, 63, 123, 183]);
        turn.cleared(slot);
        assert!((201..400).all(|second| !turn.begin(at + second * 1000, 0.5, false).in_turn.contains(&slot)));
    }

    #[test]
    fn sweeps_that_begin_anew_all_the_time_come_to_every_level() {
        let (mut turn, at) = settled();
        let levels: Vec<_> = (1..5).map(|late| tick(&mut turn, at + late * 20_000, false)).collect();
        assert_eq!(levels, [vec![0, 1], vec![2, 3], vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn a_pump_on_standby_sweeps_once_it_turns() {
        let mut turn = Turn::new(V1);
        let levels: Vec<_> = (0..40).map(|at| tick(&mut turn, NOON + at * 5000, true)).collect();
        assert!(levels.iter().all(Vec::is_empty));
        assert_eq!(tick(&mut turn, NOON + 200_000, false), [0, 1]);
    }

    #[test]
    fn ticks_follow_the_beginning_of_a_slot() {
        let turn = Turn::new(V1);
        for (now, random, is_standby, expected) in [
            (NOON, 0.0, false, 1000),
            (NOON + 999, 0.0, false, 1),
            (NOON + 999, 0.5, false, 26),
            (NOON + 999, 0.0, true, 2001),
            (NOON + 999, 0.5, true, 3026),
            (NOON + 999, 0.98, true, 4050),
        ] {
            let pause = turn.pause(now, random, is_standby);
            assert_eq!(pause, Duration::from_millis(expected), "{now} {random} {is_standby}");
        }
    }
}

//! Which of many workers turn the wheel: about two of them, by counting, without a leader.
//!
//! Every pump may turn, and does when fewer than two others are seen; more than two step down by chance. The rest stand
//! by: they look now and then, often enough to turn the wheel alone when the two hang without being gone.

/// Pumps that turn at once: one, and one in case it hangs.
const TURNING: u32 = 2;

/// Ticks between two counts of a pump that turns, at least; at most twice as many.
const TICKS_MIN: u32 = 5;

/// Whether a pump turns the wheel or stands by.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    is_taken: bool,
    ticks_left: u32,
}

impl Seat {
    /// True while this pump stands by.
    pub(crate) fn is_standby(&self) -> bool {
        !self.is_taken
    }

    /// Counts a tick; true when this one should count the pumps that turn.
    pub(crate) fn is_count_due(&mut self) -> bool {
        self.ticks_left = self.ticks_left.saturating_sub(1);
        self.ticks_left == 0 || !self.is_taken
    }

    /// Learns how many pumps turn, this one included if it does. `random`, from 0 to 1, decides who steps down.
    pub(crate) fn count(&mut self, turning: u32, random: f64) {
        let excess = f64::from(turning.saturating_sub(TURNING));
        self.is_taken = match self.is_taken {
            false => turning < TURNING,
            // Each steps down with this chance, so that two are expected to stay.
            true => random * f64::from(turning) >= excess,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of ticks")]
        let more = (f64::from(TICKS_MIN) * random) as u32;
        self.ticks_left = TICKS_MIN + more;
    }

    /// Learns that the broker was away, and with it the count.
    pub(crate) fn leave(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(is_taken: bool, turning: u32, random: f64) -> bool {
        let mut seat = Seat { is_taken, ticks_left: 0 };
        seat.count(turning, random);
        !seat.is_standby()
    }

    #[test]
    fn two_turn_and_the_others_stand_by() {
        for (is_taken, turning, random, expected) in [
            (false, 0, 0.0, true),
            (false, 1, 0.9, true),
            (false, 2, 0.0, false),
            (true, 1, 0.0, true),
            (true, 2, 0.0, true),
            (true, 3, 0.32, false),
            (true, 3, 0.34, true),
            (true, 50, 0.95, false),
            (true, 50, 0.97, true),
        ] {
            assert_eq!(seat(is_taken, turning, random), expected, "{is_taken} {turning} {random}");
        }
    }

    #[test]
    fn fifty_that_start_at_once_become_two() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut seats: Vec<Seat> = (0..50).map(|_| Seat { is_taken: true, ticks_left: 0 }).collect();
        let turning = |seats: &[Seat]| u32::try_from(seats.iter().filter(|seat| seat.is_taken).count()).unwrap();
        for _ in 0..10 {
            for at in 0..seats.len() {
                let count = turning(&seats);
                seats[at].count(count, random.f64());
            }
        }
        assert_eq!(turning(&seats), 2);
    }

    #[test]
    fn a_pump_that_turns_counts_now_and_then_and_one_on_standby_each_time() {
        let mut seat = Seat::default();
        assert!(seat.is_count_due() && seat.is_count_due());
        seat.count(0, 0.5);
        let ticks = (1..).find(|_| seat.is_count_due());
        assert_eq!(ticks, Some(7));
        seat.leave();
        assert!(seat.is_standby() && seat.is_count_due());
    }
}

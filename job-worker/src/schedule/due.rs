//! Decides which ticks of a schedule run now, from what has been dealt with and what time it is.

use job_core::clock::Timestamp;
use job_core::schedule::Missed;
use job_schedule::{Recurrence, TICKS_MAX};

/// A tick that is no later than this is on time: when a scheduler dies, another one takes over within 15 s.
const ON_TIME_SECONDS: i64 = 60;

/// What to do about a schedule now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Ticks that get no job, in their order and before those that do; the latest of them, if they are very many.
    pub(crate) skip: Vec<Timestamp>,
    /// Ticks to fire, in their order.
    pub(crate) fire: Vec<Timestamp>,
}

/// Decides what is due. A clock that was set back finds nothing until it has caught up with what is dealt with.
pub(crate) fn due(recurrence: &Recurrence, missed: Missed, last: Timestamp, now: Timestamp) -> Due {
    let mut skip = recurrence.latest(last, now, TICKS_MAX);
    let is_late = skip.last().is_some_and(|latest| (now - *latest).num_seconds() > ON_TIME_SECONDS);
    let max = match missed {
        Missed::Skip if is_late => 0,
        Missed::Skip | Missed::Once => 1,
        Missed::All(max) => usize::try_from(max).unwrap_or(usize::MAX),
    };
    let fire = skip.split_off(skip.len().saturating_sub(max));
    Due { skip, fire }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-24T{text}Z").parse().unwrap()
    }

    fn check(missed: Missed, last: &str, now: &str, skip: &[&str], fire: &[&str]) {
        let hourly = Recurrence::cron("0 * * * *", "UTC").unwrap();
        let [skip, fire] = [skip, fire].map(|ticks| ticks.iter().map(|text| at(text)).collect());
        let expected = Due { skip, fire };
        assert_eq!(due(&hourly, missed, at(last), at(now)), expected, "{missed:?} from {last} to {now}");
    }

    const ALL: [Missed; 3] = [Missed::Skip, Missed::Once, Missed::All(10)];

    #[test]
    fn a_tick_on_time_runs_under_every_policy() {
        for missed in ALL {
            check(missed, "09:00:00", "09:59:59", &[], &[]);
            check(missed, "09:00:00", "10:00:00", &[], &["10:00:00"]);
            check(missed, "09:00:00", "10:01:00", &[], &["10:00:00"]);
            check(missed, "10:00:00", "10:00:00", &[], &[]);
            // First seen in between: what came before was nobody's.
            check(missed, "09:30:00", "10:00:00.5", &[], &["10:00:00"]);
        }
    }

    #[test]
    fn what_was_missed_runs_as_its_policy_says() {
        let (ten, eleven, noon) = ("10:00:00", "11:00:00", "12:00:00");
        check(Missed::Skip, "09:00:00", "12:30:00", &[ten, eleven, noon], &[]);
        check(Missed::Once, "09:00:00", "12:30:00", &[ten, eleven], &[noon]);
        check(Missed::All(10), "09:00:00", "12:30:00", &[], &[ten, eleven, noon]);
        check(Missed::All(2), "09:00:00", "12:30:00", &[ten], &[eleven, noon]);
    }

    #[test]
    fn a_tick_on_time_stands_for_those_missed_before_it() {
        let (ten, eleven, noon) = ("10:00:00", "11:00:00", "12:00:00");
        check(Missed::Skip, "09:00:00", "12:00:30", &[ten, eleven], &[noon]);
        check(Missed::Once, "09:00:00", "12:00:30", &[ten, eleven], &[noon]);
        check(Missed::All(10), "09:00:00", "12:00:30", &[], &[ten, eleven, noon]);
    }

    #[test]
    fn a_clock_that_was_set_back_repeats_nothing() {
        for missed in ALL {
            check(missed, "12:00:00", "09:00:00", &[], &[]);
            check(missed, "12:00:00", "12:59:59", &[], &[]);
            check(missed, "12:00:00", "13:00:00", &[], &["13:00:00"]);
        }
    }

    #[test]
    fn a_very_long_outage_is_looked_back_on_as_far_as_it_counts() {
        let dense = Recurrence::cron("* * * * * *", "UTC").unwrap();
        let (last, now) = ("1970-01-01T00:00:00Z".parse().unwrap(), at("12:00:00.5"));
        let Due { skip, fire } = due(&dense, Missed::All(10), last, now);
        assert_eq!((skip.len(), fire.len(), fire.last()), (TICKS_MAX - 10, 10, Some(&at("12:00:00"))));
    }
}

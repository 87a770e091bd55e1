//! Decides which ticks of a schedule run now, from what has been dealt with and what time it is.

use job_core::clock::Timestamp;
use job_core::schedule::Missed;
use job_schedule::Recurrence;

/// A tick that is no later than this is on time: when a scheduler dies, another one takes over within 15 s.
const ON_TIME_SECONDS: i64 = 60;

/// What to do about a schedule now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Ticks to fire, in their order.
    pub(crate) fire: Vec<Timestamp>,
    /// All ticks up to this one are dealt with then.
    pub(crate) last: Timestamp,
}

/// Decides what is due. A clock that was set back finds nothing until it has caught up with what is dealt with.
pub(crate) fn due(recurrence: &Recurrence, missed: Missed, last: Timestamp, now: Timestamp) -> Due {
    let max = match missed {
        Missed::Skip | Missed::Once => 1,
        Missed::All(max) => usize::try_from(max).unwrap_or(usize::MAX),
    };
    let ticks = recurrence.latest(last, now, max);
    let Some(latest) = ticks.last().copied() else {
        return Due { fire: ticks, last };
    };
    let is_late = (now - latest).num_seconds() > ON_TIME_SECONDS;
    let fire = if missed == Missed::Skip && is_late { Vec::new() } else { ticks };
    Due { fire, last: latest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-24T{text}Z").parse().unwrap()
    }

    fn check(missed: Missed, last: &str, now: &str, fire: &[&str], dealt_with: &str) {
        let hourly = Recurrence::cron("0 * * * *", "UTC").unwrap();
        let expected = Due { fire: fire.iter().map(|text| at(text)).collect(), last: at(dealt_with) };
        assert_eq!(due(&hourly, missed, at(last), at(now)), expected, "{missed:?} from {last} to {now}");
    }

    const ALL: [Missed; 3] = [Missed::Skip, Missed::Once, Missed::All(10)];

    #[test]
    fn a_tick_on_time_runs_under_every_policy() {
        for missed in ALL {
            check(missed, "09:00:00", "09:59:59", &[], "09:00:00");
            check(missed, "09:00:00", "10:00:00", &["10:00:00"], "10:00:00");
            check(missed, "09:00:00", "10:01:00", &["10:00:00"], "10:00:00");
            check(missed, "10:00:00", "10:00:00", &[], "10:00:00");
            // First seen in between: what came before was nobody's.
            check(missed, "09:30:00", "10:00:00.5", &["10:00:00"], "10:00:00");
        }
    }

    #[test]
    fn what_was_missed_runs_as_its_policy_says() {
        check(Missed::Skip, "09:00:00", "12:30:00", &[], "12:00:00");
        check(Missed::Once, "09:00:00", "12:30:00", &["12:00:00"], "12:00:00");
        check(Missed::All(10), "09:00:00", "12:30:00", &["10:00:00", "11:00:00", "12:00:00"], "12:00:00");
        check(Missed::All(2), "09:00:00", "12:30:00", &["11:00:00", "12:00:00"], "12:00:00");
    }

    #[test]
    fn a_tick_on_time_stands_for_those_missed_before_it() {
        check(Missed::Skip, "09:00:00", "12:00:30", &["12:00:00"], "12:00:00");
        check(Missed::Once, "09:00:00", "12:00:30", &["12:00:00"], "12:00:00");
        check(Missed::All(10), "09:00:00", "12:00:30", &["10:00:00", "11:00:00", "12:00:00"], "12:00:00");
    }

    #[test]
    fn a_clock_that_was_set_back_repeats_nothing() {
        for missed in ALL {
            check(missed, "12:00:00", "09:00:00", &[], "12:00:00");
            check(missed, "12:00:00", "12:59:59", &[], "12:00:00");
            check(missed, "12:00:00", "13:00:00", &["13:00:00"], "13:00:00");
        }
    }
}

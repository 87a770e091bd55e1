//! The policy, stated as a walk from minute to minute with an eye on the wall clock.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::field::Fields;
use crate::zones::{end, start};

/// The wall clock is looked at for so long before the walk: what it has shown then is not shown for the first time.
const BEFORE: TimeDelta = TimeDelta::days(2);

/// What the wall clock of a zone shows, minute by minute.
pub(crate) struct Walk {
    shown: Vec<NaiveDateTime>,
}

impl Walk {
    pub(crate) fn new(zone: Tz) -> Self {
        let minutes = std::iter::successors(Some(start() - BEFORE), |at| Some(*at + TimeDelta::minutes(1)));
        let shown = minutes.take_while(|at| *at <= end()).map(|at| at.with_timezone(&zone).naive_local());
        Self { shown: shown.collect() }
    }

    /// Returns the runs within `(from, to]`.
    ///
    /// What has times in every hour runs whenever the wall clock shows one of them. Everything else runs when the wall
    /// clock comes to one of its times for the first time, or jumps over it.
    pub(crate) fn runs(&self, fields: &Fields, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Vec<DateTime<Utc>> {
        let (minute, is_hourly) = (TimeDelta::minutes(1), fields.is_hourly());
        let mut at = (from - BEFORE).max(start() - BEFORE);
        let first = usize::try_from((at - (start() - BEFORE)).num_minutes()).unwrap();
        let mut farthest = self.shown[first];
        let mut runs = Vec::new();
        for now in &self.shown[first + 1..] {
            at += minute;
            if at > to {
                break;
            }
            // Where the clock is even, exactly this minute is new.
            let is_due = if is_hourly || farthest + minute == *now {
                fields.matches(*now)
            } else {
                let passed = std::iter::successors(Some(farthest + minute), |time| Some(*time + minute));
                passed.take_while(|time| time <= now).any(|time| fields.matches(time))
            };
            farthest = farthest.max(*now);
            if is_due && at > from {
                runs.push(at);
            }
        }
        runs
    }
}

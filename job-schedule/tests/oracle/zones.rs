//! Zones, and what their clocks do within the two years of the test.

use std::collections::BTreeMap;

use chrono::{DateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

/// All kinds of changes: north and south, an hour and half an hour, at midnight, around Ramadan, and none at all.
const TWELVE: [Tz; 12] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::Europe__London,
    Tz::America__New_York,
    Tz::America__St_Johns,
    Tz::America__Santiago,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Chatham,
    Tz::Africa__Casablanca,
    Tz::Africa__Cairo,
    Tz::Asia__Beirut,
    Tz::Asia__Kathmandu,
];

pub(crate) fn start() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn end() -> DateTime<Utc> {
    "2028-01-01T00:00:00Z".parse().unwrap()
}

/// Returns the zones to test.
pub(crate) fn chosen() -> Vec<Tz> {
    match std::env::var("JOB_SCHEDULE_ZONES").as_deref() {
        Ok("all") => {
            let mut distinct = BTreeMap::new();
            for zone in TZ_VARIANTS {
                distinct.entry(history(zone)).or_insert(zone);
            }
            assert!(distinct.len() > 50, "{} sets of changes", distinct.len());
            distinct.into_values().collect()
        }
        Ok(other) => panic!("JOB_SCHEDULE_ZONES is {other:?}; use \"all\""),
        Err(_) => TWELVE.to_vec(),
    }
}

/// Returns the instants at which a zone changes its offset, to the minute.
pub(crate) fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    history(zone).into_iter().skip(1).map(|(at, _)| at).collect()
}

/// Returns the offset at the start, and each one that follows.
fn history(zone: Tz) -> Vec<(DateTime<Utc>, i32)> {
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    let mut history = vec![(start(), offset(start()))];
    let mut at = start();
    while at < end() {
        at += TimeDelta::minutes(15);
        if history.last().is_some_and(|(_, last)| *last != offset(at)) {
            history.push((at, offset(at)));
        }
    }
    history
}

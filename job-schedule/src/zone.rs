//! What wall clocks show: the change of a zone's offset, and the instants at which a wall-clock time comes.

use chrono::{DateTime, Duration, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};

use crate::mistake::Mistake;

/// No zone changes its offset twice within this time, which the test over all of them holds.
const STEP: Duration = Duration::hours(6);

/// Longest name that is looked at, in bytes; that of no zone is longer than 32.
const NAME_BYTES_MAX: usize = 64;

/// Finds a zone of the IANA database.
///
/// # Errors
/// Says what it was probably meant to be.
pub(crate) fn parse(name: &str) -> Result<Tz, Mistake> {
    if name.len() > NAME_BYTES_MAX {
        let bytes = name.len();
        return Err(Mistake::new(format!(
            "no time zone has a name of {bytes} bytes; at most {NAME_BYTES_MAX} can be one"
        )));
    }
    name.parse().map_err(|_| {
        let meant = TZ_VARIANTS.iter().find(|tz| is_alike(tz.name(), name));
        let hint = meant.map_or_else(
            || "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
            |tz| format!("did you mean \"{tz}\"?"),
        );
        Mistake::new(format!("no time zone is called {name:?}; {hint}"))
    })
}

/// The same but for case, spaces and the continent.
fn is_alike(zone: &str, name: &str) -> bool {
    let plain = name.trim().replace(' ', "_");
    let city = zone.rsplit('/').next().unwrap_or(zone);
    zone.eq_ignore_ascii_case(&plain) || city.eq_ignore_ascii_case(&plain)
}

/// Returns what the wall clock shows.
pub(crate) fn wall(zone: Tz, at: DateTime<Utc>) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// Returns the instant at which the wall clock shows a time for the first time, or has gone past it: the end of a gap
/// is the first valid instant behind a time that is skipped.
pub(crate) fn first_at(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    if let Some(at) = zone.from_local_datetime(&wall).earliest() {
        return Some(at.to_utc());
    }
    GapInfo::new(&wall, &zone)?.end.map(|end| end.to_utc())
}

/// Returns the first instant within `(after, until]` at which the offset is another than at `after`.
pub(crate) fn first_change(zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let offset = offset(zone, after);
    let is_changed = |at| self::offset(zone, at) != offset;
    let mut before = after;
    loop {
        let at = (before + STEP).min(until);
        if is_changed(at) {
            return Some(bisect(before, at, is_changed));
        }
        if at >= until {
            return None;
        }
        before = at;
    }
}

/// Returns by how much the wall clock is ahead of UTC.
pub(crate) fn offset(zone: Tz, at: DateTime<Utc>) -> Duration {
    let seconds = zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    Duration::seconds(seconds.into())
}

/// Narrows down where a claim becomes true, to the second.
fn bisect(mut no: DateTime<Utc>, mut yes: DateTime<Utc>, is_true: impl Fn(DateTime<Utc>) -> bool) -> DateTime<Utc> {
    while yes.timestamp() - no.timestamp() > 1 {
        let middle = DateTime::from_timestamp(i64::midpoint(no.timestamp(), yes.timestamp()), 0)
            .expect("between two instants of the calendar");
        if is_true(middle) { yes = middle } else { no = middle }
    }
    // Changes are at whole seconds.
    DateTime::from_timestamp(yes.timestamp(), 0).expect("it is an instant of the calendar")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_zone_is_found_by_its_name_and_hinted_at_by_others() {
        assert_eq!(parse("Europe/Berlin").unwrap(), Tz::Europe__Berlin);
        for (name, expected) in [
            ("berlin", "no time zone is called \"berlin\"; did you mean \"Europe/Berlin\"?"),
            ("america/new york", "no time zone is called \"america/new york\"; did you mean \"America/New_York\"?"),
            (
                "Mars",
                "no time zone is called \"Mars\"; write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
            ),
            (&"x".repeat(1_000_000), "no time zone has a name of 1000000 bytes; at most 64 can be one"),
        ] {
            assert_eq!(parse(name).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn changes_are_found_to_the_second() {
        let change = first_change(Tz::Europe__Berlin, utc("2026-01-01T00:00:00.5Z"), utc("2027-01-01T00:00:00Z"));
        assert_eq!(change, Some(utc("2026-03-29T01:00:00Z")));
        let at_the_end = first_change(Tz::Europe__Berlin, utc("2026-03-29T00:59:59Z"), utc("2026-03-29T01:00:00Z"));
        assert_eq!(at_the_end, change);
        assert_eq!(first_change(Tz::UTC, utc("2026-01-01T00:00:00Z"), utc("2036-01-01T00:00:00Z")), None);
    }
}

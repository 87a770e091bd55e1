//! Reads durations such as `250ms`, `30s` and `1h30m`.

use std::time::Duration;

/// Unit, its milliseconds, and other words for it.
const UNITS: [(&str, u64, &[&str]); 6] = [
    ("w", 7 * 24 * 3_600_000, &["week", "weeks"]),
    ("d", 24 * 3_600_000, &["day", "days"]),
    ("h", 3_600_000, &["hr", "hrs", "hour", "hours"]),
    ("m", 60_000, &["min", "mins", "minute", "minutes"]),
    ("s", 1_000, &["sec", "secs", "second", "seconds"]),
    ("ms", 1, &["msec", "msecs", "milli", "millis", "millisecond", "milliseconds"]),
];

/// Longest duration, in milliseconds: ten thousand years are a slip.
const MILLIS_MAX: u64 = 10_000 * 366 * 24 * 3_600_000;

/// Reads a duration: whole numbers with units, the larger unit first.
///
/// # Errors
/// Names the text, what is wrong with it, and what to write.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    millis(text).map(Duration::from_millis).map_err(|what| format!("duration \"{text}\" {what}"))
}

fn millis(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Err("is empty; write a number and a unit, such as \"30s\"".into());
    }
    if let Some(tidy) = tidied(text) {
        return Err(format!("is written \"{tidy}\""));
    }
    let (mut rest, mut millis, mut smallest) = (text, 0u64, u64::MAX);
    while !rest.is_empty() {
        let (digits, unit, behind) = part(rest)?;
        let size = size_of(unit)?;
        if size >= smallest {
            return Err("has its units out of order; write the larger one first, each once, such as \"1h30m\"".into());
        }
        let part = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(size));
        let sum = part.and_then(|part| part.checked_add(millis)).filter(|sum| *sum <= MILLIS_MAX);
        millis = sum.ok_or("is too long; use at most 10000 years")?;
        (rest, smallest) = (behind, size);
    }
    Ok(millis)
}

/// Returns the first number, its unit, and what is behind them.
fn part(text: &str) -> Result<(&str, &str, &str), String> {
    let (digits, behind) = split(text, |c| c.is_ascii_digit());
    let (unit, rest) = split(behind, char::is_alphabetic);
    match (digits, unit, rest) {
        ("", ..) => Err(unexpected(text).into()),
        (_, "", "") => Err(format!("has no unit behind {digits}; write \"{digits}s\" for seconds (ms, s, m, h, d, w)")),
        (_, "", _) => Err(unexpected(rest).into()),
        part => Ok(part),
    }
}

fn size_of(unit: &str) -> Result<u64, String> {
    let known = UNITS.iter().find(|(name, ..)| *name == unit);
    known.map(|(_, size, _)| *size).ok_or_else(|| format!("has the unknown unit \"{unit}\"; use ms, s, m, h, d or w"))
}

/// Returns what `30 Seconds` should have been, if spaces and long units are all that is wrong with it.
fn tidied(text: &str) -> Option<String> {
    let dense: String = text.to_lowercase().split_whitespace().collect();
    let (mut rest, mut tidy) = (dense.as_str(), String::new());
    while !rest.is_empty() {
        let (digits, behind) = split(rest, |c| c.is_ascii_digit());
        let (unit, behind) = split(behind, char::is_alphabetic);
        let (name, ..) = UNITS.iter().find(|(name, _, words)| *name == unit || words.contains(&unit))?;
        tidy.extend([digits, name]);
        rest = behind;
    }
    (tidy != text && parse(&tidy).is_ok()).then_some(tidy)
}

fn unexpected(rest: &str) -> &'static str {
    match rest.chars().next() {
        Some('.' | ',') => "has a fraction; write whole numbers, such as \"1500ms\" or \"1h30m\"",
        Some('-') => "is negative; write a number and a unit, such as \"30s\"",
        _ => "is not a number and a unit; write it like \"30s\" or \"1h30m\"",
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_and_combination_is_read() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1w", 604_800_000),
            ("1h30m", 5_400_000),
            ("1w2d3h4m5s6ms", 788_645_006),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, part) in [
            ("", "is empty"),
            ("30", "has no unit behind 30; write \"30s\""),
            ("1h30", "has no unit behind 30"),
            ("30 Seconds", "is written \"30s\""),
            ("30S", "is written \"30s\""),
            ("1 hour 30min", "is written \"1h30m\""),
            ("30y", "unknown unit \"y\"; use ms, s, m, h, d or w"),
            ("1.5s", "has a fraction"),
            ("-1s", "is negative"),
            (" 1h", "is written \"1h\""),
            ("soon", "is not a number and a unit"),
            ("30m1h", "units out of order"),
            ("1s1s", "units out of order"),
            ("99999999999999999999s", "is too long"),
            ("99999999999999w", "is too long"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

//! Reads a cron expression and finds the field that is wrong; the cron crate itself says only that one is.
//!
//! Five fields are POSIX's (minute first; 0 and 7 are Sunday; day of month *or* day of week), six and seven the cron
//! crate's (second first; 1 is Sunday; day of month *and* day of week; the year last).

use std::str::FromStr;

use cron::Schedule;

use crate::mistake::Mistake;
use crate::weekday;

/// Longest expression, in bytes: each of 60 seconds, minutes and so on fits, 10 kB of commas do not.
pub const EXPRESSION_BYTES_MAX: usize = 512;

const SHORTHANDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A field: its name, and what it takes.
const FIELDS: [(&str, &str); 7] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31"),
    ("month", "1 to 12, or jan to dec"),
    ("day of week", "sun to sat, or 1 (Sunday) to 7"),
    ("year", "1970 to 2100"),
];

/// A field as it was written, and where.
#[derive(Clone, Copy)]
struct Field<'a> {
    text: &'a str,
    at: usize,
}

/// Reads an expression as the sets of wall-clock times that it stands for; it matches where one of them does.
///
/// # Errors
/// Names the field, and what it takes.
pub(crate) fn parse(text: &str) -> Result<Vec<Schedule>, Mistake> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let length = text.len();
        return Err(Mistake::new(format!(
            "a cron expression has at most {EXPRESSION_BYTES_MAX} bytes, this one has {length}"
        )));
    }
    let trimmed = text.trim();
    if trimmed.starts_with('@') {
        return shorthand(trimmed).and_then(parse);
    }
    let fields: Vec<Field<'_>> = text
        .split_ascii_whitespace()
        .map(|field| Field { text: field, at: field.as_ptr().addr() - text.as_ptr().addr() })
        .collect();
    match fields.len() {
        5 => posix(&fields),
        6 | 7 => {
            check_each(&fields, 0)?;
            let texts: Vec<&str> = fields.iter().map(|field| field.text).collect();
            Ok(vec![read(&texts.join(" "))?])
        }
        count => Err(Mistake::new(format!(
            "{text:?} has {count} fields; write five (minute, hour, day of month, month, day of week), or six with the \
             second before them, or seven with the year behind those"
        ))),
    }
}

fn shorthand(text: &str) -> Result<&'static str, Mistake> {
    let known = SHORTHANDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, expression)| *expression).ok_or_else(|| {
        let names: Vec<&str> = SHORTHANDS.iter().map(|(name, _)| *name).collect();
        Mistake::new(format!("{text:?} is no shorthand; write one of {}", names.join(", ")))
    })
}

fn posix(fields: &[Field<'_>]) -> Result<Vec<Schedule>, Mistake> {
    check_each(&fields[..4], 1)?;
    let Field { text, at } = fields[4];
    let week = weekday::translated(text).ok_or_else(|| {
        Mistake::at(
            format!("the day of week {text:?} is wrong; it takes 0 to 7 (0 and 7 are Sunday), or sun to sat"),
            at,
        )
    })?;
    let [minute, hour, day, month] = [0, 1, 2, 3].map(|i| fields[i].text);
    // As Vixie's cron has it: a field that begins with a star restricts nothing by itself.
    if is_open(day) || is_open(text) {
        return Ok(vec![read(&format!("0 {minute} {hour} {day} {month} {week}"))?]);
    }
    let either = [format!("0 {minute} {hour} {day} {month} *"), format!("0 {minute} {hour} * {month} {week}")];
    either.iter().map(|text| read(text)).collect()
}

fn is_open(field: &str) -> bool {
    field.starts_with(['*', '?'])
}

/// Tries each field alone among open ones: the cron crate's errors have no place.
fn check_each(fields: &[Field<'_>], first: usize) -> Result<(), Mistake> {
    for (field, kind) in fields.iter().zip(first..) {
        let mut alone = ["*"; 7];
        alone[kind] = field.text;
        if read(&alone.join(" ")).is_err() {
            let ((name, takes), text) = (FIELDS[kind], field.text);
            return Err(Mistake::at(format!("the {name} {text:?} is wrong; it takes {takes}"), field.at));
        }
    }
    Ok(())
}

fn read(text: &str) -> Result<Schedule, Mistake> {
    Schedule::from_str(text).map_err(|error| Mistake::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_field_is_named_with_its_place() {
        for (text, expected) in [
            ("0 25 * * *", "the hour \"25\" is wrong; it takes 0 to 23 (at character 3)"),
            ("60 * * * *", "the minute \"60\" is wrong; it takes 0 to 59 (at character 1)"),
            ("0  0 0 * *", "the day of month \"0\" is wrong; it takes 1 to 31 (at character 6)"),
            ("0 0 * foo *", "the month \"foo\" is wrong; it takes 1 to 12, or jan to dec (at character 7)"),
            (
                "0 0 * * 8",
                "the day of week \"8\" is wrong; it takes 0 to 7 (0 and 7 are Sunday), or sun to sat (at character 9)",
            ),
            (
                "0 0 0 * * 0",
                "the day of week \"0\" is wrong; it takes sun to sat, or 1 (Sunday) to 7 (at character 11)",
            ),
            ("0 0 0 * * * 9999", "the year \"9999\" is wrong; it takes 1970 to 2100 (at character 13)"),
            (
                "@often",
                "\"@often\" is no shorthand; write one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn hostile_texts_are_errors_at_once() {
        let commas = ",".repeat(10_000);
        let spaces = " ".repeat(10_000);
        let long = vec!["1"; 250].join(",");
        let texts = [
            &commas,
            &spaces,
            "",
            "*",
            "* * * *",
            "* * * * * * * *",
            "*/0 * * * *",
            "1-60/0 * * * *",
            "5-1 * * * *",
            "99999999999999999999 * * * *",
            "-1 * * * *",
            "é * * * *",
            "* * * * *\0",
            "1,,2 * * * *",
            "1, * * * *",
            "1//2 * * * *",
            "L * * * *",
            "0 0 * * 1#2",
            "0 0 0 * * * 1969",
            "0 0 0 * * * 2101",
        ];
        for text in texts {
            assert!(parse(text).is_err(), "{:?}", &text[..text.len().min(40)]);
        }
        assert!(parse(&format!("{long} * * * *")).is_ok(), "as long as may be, and bounded by that");
    }
}

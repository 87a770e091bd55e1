//! The day-of-week field as POSIX numbers it, written for the cron crate, where 1 is Sunday and 0 and 7 mean something
//! else.

/// Names in the order of their numbers from 0.
const NAMES: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Translates a field: 0 and 7 are Sunday. `None` where it is no such field.
pub(crate) fn translated(field: &str) -> Option<String> {
    let mut days = [false; 7];
    for item in field.split(',') {
        add(item, &mut days)?;
    }
    let chosen = (1..).zip(days).filter(|(_, is_chosen)| *is_chosen);
    let numbers: Vec<String> = chosen.map(|(number, _): (u8, bool)| number.to_string()).collect();
    Some(numbers.join(","))
}

fn add(item: &str, days: &mut [bool; 7]) -> Option<()> {
    let (base, step) = match item.split_once('/') {
        Some((base, step)) => (base, digits(step).filter(|step| *step > 0)?),
        None => (item, 1),
    };
    let (first, last) = match base.split_once('-') {
        _ if base == "*" || base == "?" => (0, 6),
        Some((first, last)) => (number(first)?, last_number(last)?),
        None if item.contains('/') => (number(base)?, 6),
        None => (number(base)?, number(base)?),
    };
    if first > last {
        return None;
    }
    (first..=last).step_by(step).for_each(|day| days[day % 7] = true);
    Some(())
}

/// The end of `fri-sun` is the Sunday behind the Friday.
fn last_number(text: &str) -> Option<usize> {
    number(text).map(|day| if day == 0 && digits(text).is_none() { 7 } else { day })
}

fn number(text: &str) -> Option<usize> {
    let name = || NAMES.iter().position(|name| text.eq_ignore_ascii_case(name));
    digits(text).or_else(name).filter(|day| *day <= 7)
}

fn digits(text: &str) -> Option<usize> {
    // `parse` takes a sign, too.
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_seven_are_sunday() {
        for (field, expected) in [
            ("0", "1"),
            ("7", "1"),
            ("sun", "1"),
            ("SAT", "7"),
            ("1-5", "2,3,4,5,6"),
            ("5-7", "1,6,7"),
            ("fri-sun", "1,6,7"),
            ("0-7", "1,2,3,4,5,6,7"),
            ("*", "1,2,3,4,5,6,7"),
            ("*/2", "1,3,5,7"),
            ("1-5/2", "2,4,6"),
            ("mon,3,FRI", "2,4,6"),
        ] {
            assert_eq!(translated(field).as_deref(), Some(expected), "{field}");
        }
    }

    #[test]
    fn what_names_no_day_is_refused() {
        for field in ["", ",", "8", "-1", "+1", "1-", "5-1", "1/0", "1/x", "monday1", "1,,2", "99999999999999999999"] {
            assert_eq!(translated(field), None, "{field:?}");
        }
    }
}

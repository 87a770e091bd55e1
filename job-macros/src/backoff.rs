//! Reads `backoff`: `"exponential(1s, max = 10m)"`, `"fixed(30s)"`, or the path of a function.

use std::time::Duration;

use syn::{LitStr, Path};

use crate::duration;
use crate::suggest::nearest;

/// The longest delay of `exponential` that names none.
const MAX_DEFAULT: Duration = Duration::from_secs(24 * 3600);
const FACTOR_DEFAULT: f64 = 2.0;
const JITTER_DEFAULT: f64 = 0.1;

/// The longest delay that `job_core::backoff` gives: 30 days.
const DELAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// A policy as it was written.
pub(crate) enum Backoff {
    /// `exponential(…)`.
    Exponential(Exponential),
    /// `fixed(…)`.
    Fixed(Duration),
    /// A function of attempt and error.
    Custom(Path),
}

/// The parts of `exponential(…)`.
#[derive(Debug, PartialEq)]
pub(crate) struct Exponential {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    pub(crate) factor: f64,
    pub(crate) jitter: f64,
}

/// Reads a policy in quotes.
///
/// # Errors
/// Says each thing that is wrong with it.
pub(crate) fn parse(lit: &LitStr) -> Result<Backoff, Vec<String>> {
    let text = lit.value();
    let call = text.trim().strip_suffix(')').and_then(|text| text.split_once('('));
    match call {
        Some((name, arguments)) if name.trim() == "exponential" => exponential(arguments).map(Backoff::Exponential),
        Some((name, arguments)) if name.trim() == "fixed" => fixed(arguments).map(Backoff::Fixed),
        Some((name, _)) => Err(vec![unknown_policy(name.trim())]),
        None => path(lit, &text).map(Backoff::Custom),
    }
}

fn path(lit: &LitStr, text: &str) -> Result<Path, Vec<String>> {
    if matches!(text, "exponential" | "fixed") {
        return Err(vec![format!("backoff \"{text}\" needs its delay; write \"{text}(30s)\"")]);
    }
    if duration::parse(text).is_ok() {
        return Err(vec![format!(
            "backoff \"{text}\" names no policy; write \"fixed({text})\" or \"exponential({text})\""
        )]);
    }
    lit.parse().map_err(|_| vec![unknown_policy(text)])
}

fn unknown_policy(name: &str) -> String {
    let known = "use \"exponential(1s, max = 10m)\", \"fixed(30s)\" or the path of a function";
    match nearest(name, &["exponential", "fixed"]) {
        Some(near) => format!("unknown backoff \"{name}\"; did you mean \"{near}\"?"),
        None => format!("unknown backoff \"{name}\"; {known}"),
    }
}

fn fixed(arguments: &str) -> Result<Duration, Vec<String>> {
    let delay = duration::parse(arguments.trim()).map_err(|error| vec![error])?;
    match delay > DELAY_MAX {
        true => Err(vec![too_long("the delay")]),
        false => Ok(delay),
    }
}

fn exponential(arguments: &str) -> Result<Exponential, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut parts = arguments.split(',').map(str::trim).peekable();
    let mut policy =
        Exponential { min: Duration::ZERO, max: MAX_DEFAULT, factor: FACTOR_DEFAULT, jitter: JITTER_DEFAULT };
    let first = parts.next_if(|part| !part.contains('=')).unwrap_or_default();
    match first {
        "" => mistakes.push("backoff \"exponential\" begins with its first delay; write \"exponential(1s)\"".into()),
        first => store(&mut policy.min, duration::parse(first), &mut mistakes),
    }
    for part in parts.filter(|part| !part.is_empty()) {
        set(&mut policy, part, &mut mistakes);
    }
    if mistakes.is_empty() {
        mistakes.extend(policy.mistakes());
    }
    if mistakes.is_empty() { Ok(policy) } else { Err(mistakes) }
}

fn set(policy: &mut Exponential, part: &str, mistakes: &mut Vec<String>) {
    let Some((key, value)) = part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
        mistakes.push(format!("expected max, factor or jitter, found \"{part}\"; write \"max = {part}\""));
        return;
    };
    match key {
        "max" => store(&mut policy.max, duration::parse(value), mistakes),
        "factor" => store(&mut policy.factor, number(key, value), mistakes),
        "jitter" => store(&mut policy.jitter, number(key, value), mistakes),
        "min" => mistakes.push(format!("the first delay has no name; write \"exponential({value})\"")),
        _ => mistakes.push(match nearest(key, &["max", "factor", "jitter"]) {
            Some(near) => format!("unknown part \"{key}\" of a backoff; did you mean \"{near}\"?"),
            None => format!("unknown part \"{key}\" of a backoff; the parts are max, factor and jitter"),
        }),
    }
}

fn store<T>(place: &mut T, value: Result<T, String>, mistakes: &mut Vec<String>) {
    match value {
        Ok(value) => *place = value,
        Err(mistake) => mistakes.push(mistake),
    }
}

fn number(key: &str, value: &str) -> Result<f64, String> {
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("{key} \"{value}\" is not a number; write \"{key} = 1.5\"")),
    }
}

impl Exponential {
    fn mistakes(&self) -> Vec<String> {
        let rules = [
            (self.min.is_zero(), "the first delay is zero and never grows; write at least \"1ms\"".to_owned()),
            (self.max < self.min, "max is shorter than the first delay; make it longer".to_owned()),
            (self.max > DELAY_MAX, too_long("max")),
            (self.factor < 1.0, format!("factor {} lets the delay shrink; use at least 1", self.factor)),
            (!(0.0..=1.0).contains(&self.jitter), format!("jitter {} is not a share; use 0 to 1", self.jitter)),
        ];
        rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, text)| text).collect()
    }
}

fn too_long(what: &str) -> String {
    format!("{what} is longer than 30 days, the longest that a job waits for its next run; shorten it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    fn parsed(text: &str) -> Result<String, Vec<String>> {
        parse(&LitStr::new(text, Span::call_site())).map(|policy| match policy {
            Backoff::Exponential(e) => format!("{:?} {:?} {} {}", e.min, e.max, e.factor, e.jitter),
            Backoff::Fixed(delay) => format!("{delay:?}"),
            Backoff::Custom(path) => quote::quote!(#path).to_string(),
        })
    }

    #[test]
    fn all_forms_are_read_and_defaults_filled_in() {
        for (text, expected) in [
            ("exponential(1s)", "1s 86400s 2 0.1"),
            ("exponential(1s, max = 10m, factor = 1.5, jitter = 0)", "1s 600s 1.5 0"),
            (" exponential( 250ms ,max=1h30m, ) ", "250ms 5400s 2 0.1"),
            ("fixed(30s)", "30s"),
            ("fixed(0s)", "0ns"),
            ("policy::slow", "policy :: slow"),
            ("crate::policy", "crate :: policy"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn each_mistake_offers_its_fix() {
        for (text, expected) in [
            ("exponential", "backoff \"exponential\" needs its delay; write \"exponential(30s)\""),
            ("exponential()", "backoff \"exponential\" begins with its first delay; write \"exponential(1s)\""),
            ("exponential(max = 1h)", "backoff \"exponential\" begins with its first delay; write \"exponential(1s)\""),
            ("exponential(1s, 10m)", "expected max, factor or jitter, found \"10m\"; write \"max = 10m\""),
            ("exponential(1s, mx = 10m)", "unknown part \"mx\" of a backoff; did you mean \"max\"?"),
            ("exponential(1s, factor = x)", "factor \"x\" is not a number; write \"factor = 1.5\""),
            ("exponential(1s, factor = 0.5)", "factor 0.5 lets the delay shrink; use at least 1"),
            ("exponential(1s, jitter = 10)", "jitter 10 is not a share; use 0 to 1"),
            ("exponential(1h, max = 1m)", "max is shorter than the first delay; make it longer"),
            ("exponential(0s)", "the first delay is zero and never grows; write at least \"1ms\""),
            ("exponental(1s)", "unknown backoff \"exponental\"; did you mean \"exponential\"?"),
            ("30s", "backoff \"30s\" names no policy; write \"fixed(30s)\" or \"exponential(30s)\""),
            ("fixed(30)", "duration \"30\" has no unit behind 30; write \"30s\" for seconds (ms, s, m, h, d, w)"),
            (
                "fixed(31d)",
                "the delay is longer than 30 days, the longest that a job waits for its next run; shorten it",
            ),
        ] {
            assert_eq!(parsed(text), Err(vec![expected.to_owned()]), "{text}");
        }
    }

    #[test]
    fn all_mistakes_of_one_policy_are_told() {
        assert_eq!(parsed("exponential(1, max = 2x, factor = y)").unwrap_err().len(), 3);
    }
}

//! Our instants against a slow walk that states the policy, and against the crate `croner` where its policy is ours.
//!
//! Twelve zones by default; `JOB_SCHEDULE_ZONES=all cargo test -p job-schedule --test oracle` takes one zone for every
//! distinct set of clock changes that there is; that is two minutes of work for one processor.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach their helpers")]

mod field;
mod walk;
mod zones;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use job_schedule::Recurrence;

use crate::field::Fields;
use crate::walk::Walk;
use crate::zones::{changes, chosen, end, start};

const MINUTES: [&str; 5] = ["0", "30", "*/15", "7,37", "*"];
const HOURS: [&str; 8] = ["*", "0", "2", "3", "1-3", "*/2", "0,12", "23"];
const DAYS: [&str; 6] = ["* * *", "1 * *", "* * 0", "15 * 5", STEPPED_DAYS, "29 2 *"];

/// The days of which croner has another opinion.
const STEPPED_DAYS: &str = "*/2 * 1";

/// Runs so many times a day are compared around clock changes only.
const DENSE: usize = 2;

fn expressions() -> impl Iterator<Item = String> {
    let hours = MINUTES.iter().flat_map(|minute| HOURS.iter().map(move |hour| (minute, hour)));
    hours.flat_map(|(minute, hour)| DAYS.iter().map(move |days| format!("{minute} {hour} {days}")))
}

/// Returns the spans that are compared: both years, or the days around each change.
fn spans(fields: &Fields, changes: &[DateTime<Utc>]) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    if fields.runs_a_day() < DENSE {
        return vec![(start(), end())];
    }
    around(changes)
}

/// Returns the days around each change, and the first ones.
fn around(changes: &[DateTime<Utc>]) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let day = TimeDelta::days(1);
    let around = changes.iter().map(|at| ((*at - day).max(start()), (*at + day).min(end())));
    around.chain([(start(), start() + day * 3)]).collect()
}

fn ours(recurrence: &Recurrence, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Vec<DateTime<Utc>> {
    let following = std::iter::successors(recurrence.next_after(from), |at| recurrence.next_after(*at));
    following.take_while(|at| *at <= to).collect()
}

#[test]
fn every_run_of_two_years_is_that_of_a_slow_walk() {
    let mut compared = 0;
    for zone in chosen() {
        let (changes, walk) = (changes(zone), Walk::new(zone));
        for expression in expressions() {
            let (fields, recurrence) =
                (Fields::parse(&expression), Recurrence::cron(&expression, zone.name()).unwrap());
            for span in spans(&fields, &changes) {
                let (expected, found) = (walk.runs(&fields, span), ours(&recurrence, span));
                assert!(found == expected, "{expression} in {zone}: {}", first_difference(&found, &expected));
                compared += found.len();
            }
        }
    }
    assert!(compared > 100_000, "only {compared} runs were compared");
}

/// Where croner's policy is ours, its runs are ours. It takes an expression for times of the day only if minute and hour
/// are single numbers; lists, ranges and steps of them it takes for intervals, which are neither made up for after a gap
/// nor held back in a repeated hour. We do so only if it has times in every hour, since `0,30 2 * * *` means two times of
/// the day, and would be left out for a day, or run four times. So those differ, on days of clock changes and no others.
///
/// A second difference is left out here: croner takes `*/2` in a day of month for a restriction, so that a day of week
/// beside it is or-ed; with us, as in Vixie's cron, what begins with a star is none.
#[test]
fn croner_agrees_but_about_lists_of_times_on_days_of_changes() {
    let (mut agreed, mut differed) = (0, 0);
    for zone in chosen() {
        let changes = changes(zone);
        for expression in expressions().filter(|expression| !expression.ends_with(STEPPED_DAYS)) {
            let (fields, recurrence) =
                (Fields::parse(&expression), Recurrence::cron(&expression, zone.name()).unwrap());
            let is_same_policy = fields.is_hourly() || fields.is_one_time_of_day();
            for span in around(&changes) {
                let (found, theirs) = (ours(&recurrence, span), croner_s(&expression, zone, span));
                if found == theirs {
                    agreed += found.len();
                    continue;
                }
                assert!(!is_same_policy, "{expression} in {zone}: {}", first_difference(&found, &theirs));
                let differing = found.iter().filter(|at| !theirs.contains(at));
                let differing = differing.chain(theirs.iter().filter(|at| !found.contains(at)));
                for at in differing {
                    let is_near = changes.iter().any(|change| (*at - *change).abs() <= TimeDelta::days(1));
                    assert!(is_near, "{expression} in {zone}: {at} is far from any change");
                    differed += 1;
                }
            }
        }
    }
    assert!(agreed > 10_000 && differed > 0, "{agreed} runs agreed, {differed} differed");
}

fn croner_s(expression: &str, zone: Tz, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Vec<DateTime<Utc>> {
    let cron: Cron = expression.parse().unwrap();
    let next = |at: &DateTime<Tz>| cron.find_next_occurrence(at, false).ok();
    let following = std::iter::successors(next(&from.with_timezone(&zone)), next);
    following.map(|at| at.to_utc()).take_while(|at| *at <= to).collect()
}

fn first_difference(found: &[DateTime<Utc>], expected: &[DateTime<Utc>]) -> String {
    let index = found.iter().zip(expected).take_while(|(one, other)| one == other).count();
    format!("run {index} is {:?}, not {:?}", found.get(index), expected.get(index))
}

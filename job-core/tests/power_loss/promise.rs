//! What a program was promised up to a moment, and whether a database keeps it.
//!
//! Each thing (a job's id, a key of the ledger, a schedule) goes through steps of rising numbers. A step may show in the
//! database once it was begun, and must not be older than the last one that was confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// What is in a database: the state of each thing that is there.
pub(crate) type Content = BTreeMap<String, String>;

/// The state of a thing that is not there.
pub(crate) const ABSENT: &str = "absent";

/// What was promised.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises {
    things: BTreeMap<String, Steps>,
    /// Each job with the one that takes its place: one of the two is there, never both.
    followers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
struct Steps {
    begun: BTreeMap<u32, String>,
    confirmed: u32,
}

/// How a database breaks a promise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Breach {
    /// What was confirmed is not there, or only as it was before.
    Lost(String),
    /// There is what was never asked for, what was refused, or what was taken away for good.
    Phantom(String),
}

/// Returns the mark of a step that begins.
pub(crate) fn begin(thing: &(impl Display + ?Sized), step: u32, state: &str) -> String {
    format!("begin {thing} {step} {state}\n")
}

/// Returns the mark of a step that was confirmed.
pub(crate) fn confirm(thing: &(impl Display + ?Sized), step: u32) -> String {
    format!("ok {thing} {step}\n")
}

/// Returns the mark that says that a job is about to be replaced by another, in one step.
pub(crate) fn follow(job: &impl Display, follower: &impl Display) -> String {
    format!("follow {job} {follower}\n")
}

impl Promises {
    /// Notes marks.
    pub(crate) fn note(&mut self, marks: &str) {
        for mark in marks.lines() {
            match mark.split(' ').collect::<Vec<_>>()[..] {
                ["begin", thing, step, state] => {
                    self.steps(thing).begun.insert(number(step), state.to_owned());
                }
                ["ok", thing, step] => {
                    let steps = self.steps(thing);
                    steps.confirmed = steps.confirmed.max(number(step));
                }
                ["follow", job, follower] => {
                    self.followers.insert(job.to_owned(), follower.to_owned());
                }
                _ => panic!("no such mark: {mark:?}"),
            }
        }
    }

    /// Counts the things of which something was confirmed.
    pub(crate) fn confirmed(&self) -> usize {
        self.things.values().filter(|steps| steps.confirmed > 0).count()
    }

    /// Returns how a database breaks the promises.
    pub(crate) fn check(&self, content: &Content) -> BTreeSet<Breach> {
        let unknown = content.iter().filter(|(thing, _)| !self.things.contains_key(*thing));
        let mut breaches: BTreeSet<Breach> = unknown
            .map(|(thing, state)| Breach::Phantom(format!("{thing} is {state}, and nobody asked for it")))
            .collect();
        for (thing, steps) in &self.things {
            let state = content.get(thing).map_or(ABSENT, String::as_str);
            breaches.extend(steps.check(thing, state));
        }
        for (job, follower) in &self.followers {
            match (content.contains_key(job), content.contains_key(follower)) {
                (false, false) => breaches.insert(Breach::Lost(format!("{job} is gone without {follower}"))),
                (true, true) => breaches.insert(Breach::Phantom(format!("{job} is there beside {follower}"))),
                _ => continue,
            };
        }
        breaches
    }

    fn steps(&mut self, thing: &str) -> &mut Steps {
        let fresh = || Steps { begun: [(0, ABSENT.to_owned())].into(), confirmed: 0 };
        self.things.entry(thing.to_owned()).or_insert_with(fresh)
    }
}

impl Steps {
    fn check(&self, thing: &str, state: &str) -> Option<Breach> {
        let mut allowed = self.begun.range(self.confirmed..).map(|(_, state)| state.as_str());
        if allowed.any(|allowed| allowed == state) {
            return None;
        }
        let expected = self.begun.get(&self.confirmed).map_or("?", String::as_str);
        let text = format!("{thing} is {state}, and {expected} (step {}) was confirmed", self.confirmed);
        Some(if expected == ABSENT { Breach::Phantom(text) } else { Breach::Lost(text) })
    }
}

fn number(text: &str) -> u32 {
    text.parse().expect("a step is a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether things are lost, and whether there are phantoms.
    fn check(marks: &[String], content: &[(&str, &str)]) -> (bool, bool) {
        let mut promises = Promises::default();
        marks.iter().for_each(|mark| promises.note(mark));
        let content = content.iter().map(|(thing, state)| ((*thing).to_owned(), (*state).to_owned())).collect();
        let breaches = promises.check(&content);
        let is_lost = |breach: &Breach| matches!(breach, Breach::Lost(_));
        (breaches.iter().any(is_lost), !breaches.iter().all(is_lost))
    }

    const KEPT: (bool, bool) = (false, false);
    const LOST: (bool, bool) = (true, false);
    const PHANTOM: (bool, bool) = (false, true);

    #[test]
    fn what_is_under_way_may_be_there_or_not() {
        let marks = [begin("a", 1, "mail#1")];
        assert_eq!(check(&marks, &[]), KEPT);
        assert_eq!(check(&marks, &[("a", "mail#1")]), KEPT);
        assert_eq!(check(&marks, &[("a", "mail#2")]), PHANTOM);
    }

    #[test]
    fn what_was_confirmed_is_there() {
        let marks = [begin("a", 1, "mail#1"), confirm("a", 1)];
        assert_eq!(check(&marks, &[]), LOST);
        assert_eq!(check(&marks, &[("a", "mail#1")]), KEPT);
    }

    #[test]
    fn a_confirmed_retry_is_not_undone() {
        let marks = [begin("a", 1, "mail#1"), confirm("a", 1), begin("a", 2, "mail#2"), confirm("a", 2)];
        assert_eq!(check(&marks, &[("a", "mail#1")]), LOST);
        assert_eq!(check(&marks, &[("a", "mail#2")]), KEPT);
        // Whoever publishes may be told later than whoever runs.
        let late = [&marks[..1], &marks[2..], &marks[1..2]].concat();
        assert_eq!(check(&late, &[("a", "mail#1")]), LOST);
    }

    #[test]
    fn a_plain_completion_may_be_undone() {
        let marks = [begin("a", 1, "mail#1"), confirm("a", 1), begin("a", 2, ABSENT)];
        assert_eq!(check(&marks, &[("a", "mail#1")]), KEPT);
        assert_eq!(check(&marks, &[]), KEPT);
    }

    #[test]
    fn what_was_cancelled_stays_away() {
        let marks = [begin("a", 1, "mail#1"), confirm("a", 1), begin("a", 2, ABSENT), confirm("a", 2)];
        assert_eq!(check(&marks, &[("a", "mail#1")]), PHANTOM);
        assert_eq!(check(&marks, &[]), KEPT);
    }

    #[test]
    fn what_nobody_asked_for_is_a_phantom() {
        assert_eq!(check(&[], &[("a", "mail#1")]), PHANTOM);
        assert_eq!(check(&[begin("a", 1, ABSENT)], &[("a", "mail#1")]), PHANTOM, "a refused one");
    }

    #[test]
    fn a_follower_takes_the_place_of_its_job() {
        let marks = [
            begin("a", 1, "mail#1"),
            confirm("a", 1),
            begin("a", 2, ABSENT),
            begin("b", 1, "after#1"),
            follow(&"a", &"b"),
        ];
        assert_eq!(check(&marks, &[("a", "mail#1")]), KEPT);
        assert_eq!(check(&marks, &[("b", "after#1")]), KEPT);
        assert_eq!(check(&marks, &[]), LOST);
        assert_eq!(check(&marks, &[("a", "mail#1"), ("b", "after#1")]), PHANTOM);
    }
}

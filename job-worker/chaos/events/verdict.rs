//! What the histories show: who heard which of the stored events, and how soon. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::events::listen::{GROUPS, Group};
use crate::record::{Event, History};

/// How soon a group hears an event while nothing is harmed: a retry of a second, and a machine that does other things.
const SOON: Duration = Duration::from_secs(10);

/// Events of the calm below which nothing is shown.
const CALM_EVENTS_MIN: usize = 50;

/// A time in which nothing was harmed, and the slow group was stopped, in microseconds of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Calm {
    pub(super) begun: i64,
    pub(super) ended: i64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) faults: usize,
    pub(super) stored: usize,
    pub(super) unconfirmed: usize,
    /// Group and event.
    pub(super) missing: Vec<String>,
    /// Heard, and never published, or refused.
    pub(super) invented: Vec<String>,
    /// Heard late in the calm.
    pub(super) late: Vec<String>,
    /// Stored in the calm, and not heard by the group that was stopped.
    pub(super) held_back: usize,
    pub(super) duplicates: usize,
    pub(super) void: Vec<String>,
}

/// What became of the publishes.
#[derive(Default)]
struct Told<'a> {
    invoked: BTreeSet<&'a str>,
    stored: BTreeMap<&'a str, i64>,
    rejected: BTreeSet<&'a str>,
}

/// When each group heard each event.
type Heard<'a> = BTreeMap<&'static str, BTreeMap<&'a str, Vec<i64>>>;

/// Checks the histories of a run.
pub(super) fn check(histories: &[History], calm: Option<Calm>) -> Report {
    let mut report = Report::default();
    let (told, heard) = read(histories, &mut report);
    report.stored = told.stored.len();
    for Group { name, .. } in GROUPS {
        let by_group = &heard[name];
        report.duplicates += by_group.values().map(|times| times.len() - 1).sum::<usize>();
        let unheard = told.stored.keys().filter(|id| !by_group.contains_key(*id));
        report.missing.extend(unheard.map(|id| format!("{name} never heard {id}")));
        let invented = by_group.keys().filter(|id| !told.invoked.contains(*id) || told.rejected.contains(*id));
        report.invented.extend(invented.map(|id| format!("{name} heard {id}, which was not stored")));
    }
    match calm {
        Some(calm) => look_at_calm(&told, &heard, calm, &mut report),
        None => report.void.push("there was no calm".into()),
    }
    if report.stored == 0 {
        report.void.push("nothing was stored".into());
    }
    report
}

/// The group that was stopped has heard none of the calm; the others have heard all of it soon.
fn look_at_calm(told: &Told<'_>, heard: &Heard<'_>, calm: Calm, report: &mut Report) {
    let soon = i64::try_from(SOON.as_micros()).unwrap_or(i64::MAX);
    let [busy @ .., stopped] = GROUPS;
    let within = told.stored.iter().filter(|(_, at)| (calm.begun..calm.ended).contains(at));
    for (id, stored) in within {
        for Group { name, .. } in busy {
            let first = heard[name].get(id).and_then(|times| times.iter().min());
            if first.is_some_and(|first| first - stored > soon) {
                report.late.push(format!("{name} heard {id} later than {SOON:?}"));
            }
        }
        let early = heard[stopped.name].get(id).is_some_and(|times| times.iter().any(|at| *at < calm.ended));
        report.held_back += usize::from(!early);
    }
    if report.held_back < CALM_EVENTS_MIN {
        report.void.push(format!("only {} events waited for the group that was stopped", report.held_back));
    }
}

fn read<'a>(histories: &'a [History], report: &mut Report) -> (Told<'a>, Heard<'a>) {
    let mut told = Told::default();
    let mut heard: Heard<'a> = GROUPS.iter().map(|group| (group.name, BTreeMap::new())).collect();
    for History { process, records } in histories {
        let group = GROUPS.iter().find(|group| process.starts_with(group.name));
        for record in records {
            match (&record.event, group) {
                (Event::Effect { id }, Some(group)) => {
                    let times = heard.get_mut(group.name).expect("all groups are there").entry(id).or_default();
                    times.push(record.at);
                }
                (Event::Invoked { id, .. }, _) => drop(told.invoked.insert(id)),
                (Event::Stored { id }, _) => drop(told.stored.insert(id, record.at)),
                (Event::Rejected { id, .. }, _) => drop(told.rejected.insert(id)),
                (Event::Unconfirmed { .. }, _) => report.unconfirmed += 1,
                (Event::Fault { .. }, _) => report.faults += 1,
                (Event::Died { victim, status }, _) => report.void.push(format!("{victim} ended: {status}")),
                (Event::Void { reason }, _) => report.void.push(reason.clone()),
                _ => {}
            }
        }
    }
    (told, heard)
}

impl Report {
    pub(super) fn violations(&self) -> impl Iterator<Item = &String> {
        self.missing.iter().chain(&self.invented).chain(&self.late)
    }

    pub(super) fn line(&self) -> String {
        format!(
            "faults={} stored={} unconfirmed={} groups={} missing={} invented={} late={} held_back={} duplicates={}",
            self.faults,
            self.stored,
            self.unconfirmed,
            GROUPS.len(),
            self.missing.len(),
            self.invented.len(),
            self.late.len(),
            self.held_back,
            self.duplicates
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::script::Expected;

    const SECOND: i64 = 1_000_000;

    /// A hundred events, one each tenth of a second, which all groups hear at once, the stopped one after the calm.
    fn sound() -> (Vec<History>, Calm) {
        let calm = Calm { begun: 0, ended: 10 * SECOND };
        let ids: Vec<(String, i64)> = (0..100).map(|n| (n.to_string(), n * SECOND / 10)).collect();
        let published = |(id, at): &(String, i64)| {
            let expected = Expected::plain();
            let invoked = Event::Invoked { id: id.clone(), hash: 0, expected, then: None, is_delayed: false };
            [Record { at: *at, event: invoked }, Record { at: *at, event: Event::Stored { id: id.clone() } }]
        };
        let mut histories =
            vec![History { process: "teller-1".into(), records: ids.iter().flat_map(published).collect() }];
        for (group, wait) in GROUPS.iter().zip([SECOND, SECOND, 11 * SECOND]) {
            let hear = |(id, at): &(String, i64)| Record { at: at + wait, event: Event::Effect { id: id.clone() } };
            let records = ids.iter().map(hear).collect();
            histories.push(History { process: format!("{}-1", group.name), records });
        }
        (histories, calm)
    }

    fn check_line(spoil: impl FnOnce(&mut Vec<History>), expected: &str) {
        let (mut histories, calm) = sound();
        spoil(&mut histories);
        let report = check(&histories, Some(calm));
        assert_eq!(report.line(), format!("faults=0 stored=100 unconfirmed=0 groups=3 {expected}"));
        assert!(report.void.is_empty(), "{:?}", report.void);
    }

    #[test]
    fn a_sound_run_has_nothing_to_tell() {
        check_line(|_| {}, "missing=0 invented=0 late=0 held_back=100 duplicates=0");
    }

    #[test]
    fn an_event_that_one_group_of_three_missed_is_seen() {
        check_line(|all| drop(all[2].records.remove(7)), "missing=1 invented=0 late=0 held_back=100 duplicates=0");
    }

    #[test]
    fn an_event_that_was_refused_and_heard_all_the_same_is_seen() {
        let refuse = |all: &mut Vec<History>| {
            let event = Event::Rejected { id: "7".into(), error: "no".into() };
            all[0].records.push(Record { at: 0, event });
        };
        check_line(refuse, "missing=0 invented=3 late=0 held_back=100 duplicates=0");
    }

    #[test]
    fn a_group_that_a_stopped_one_holds_up_is_seen() {
        let delay = |all: &mut Vec<History>| all[1].records[3].at += 20 * SECOND;
        check_line(delay, "missing=0 invented=0 late=1 held_back=100 duplicates=0");
    }

    #[test]
    fn a_run_whose_group_was_not_stopped_shows_nothing() {
        let (mut histories, calm) = sound();
        histories[3].records.iter_mut().for_each(|record| record.at -= 11 * SECOND);
        assert_eq!(check(&histories, Some(calm)).void, ["only 0 events waited for the group that was stopped"]);
    }
}

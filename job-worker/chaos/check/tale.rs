//! Makes up histories for the tests of the rules, one record after the other.

use crate::check::{Report, Rule, check};
use crate::record::{Event, Fault, History, Record, Settled, Turn};
use crate::script::Expected;

pub(super) const SECOND: i64 = 1_000_000;

/// A run of three processes: `p` publishes, `w` and `v` work, and the director looks on.
#[derive(Clone, Default)]
pub(super) struct Tale {
    now: i64,
    histories: Vec<History>,
}

impl Tale {
    /// Appends what a process did a millisecond later.
    pub(super) fn note(mut self, process: &str, event: Event) -> Self {
        self.now += 1000;
        let record = Record { at: self.now, event };
        match self.histories.iter_mut().find(|history| history.process == process) {
            Some(history) => history.records.push(record),
            None => self.histories.push(History { process: process.into(), records: vec![record] }),
        }
        self
    }

    pub(super) fn invoked(self, id: &str, dies: bool, attempts: u32) -> Self {
        let expected = Expected { dies, turns: 0, lives: vec![attempts] };
        self.note("p", Event::Invoked { id: id.into(), hash: 7, expected, then: None, is_delayed: false })
    }

    /// A job with these attempts in its lives, which completes in the last one.
    pub(super) fn lives(self, id: &str, lives: &[u32]) -> Self {
        let expected = Expected { dies: false, turns: 0, lives: lives.to_vec() };
        self.note("p", Event::Invoked { id: id.into(), hash: 7, expected, then: None, is_delayed: false })
    }

    /// A job that is not due when it is published.
    pub(super) fn delayed(self, id: &str) -> Self {
        let (expected, then) = (Expected::plain(), None);
        self.note("p", Event::Invoked { id: id.into(), hash: 7, expected, then, is_delayed: true }).stored(id)
    }

    /// A job whose end stores another one.
    pub(super) fn link(self, id: &str, then: &str) -> Self {
        let (expected, then) = (Expected::plain(), Some(then.into()));
        self.note("p", Event::Invoked { id: id.into(), hash: 7, expected, then, is_delayed: false })
    }

    pub(super) fn stored(self, id: &str) -> Self {
        self.note("p", Event::Stored { id: id.into() })
    }

    pub(super) fn job(self, id: &str, attempts: u32) -> Self {
        self.invoked(id, false, attempts).stored(id)
    }

    pub(super) fn started(self, process: &str, id: &str, attempt: u32) -> Self {
        self.note(process, Event::Started { turn: turn(id, attempt), hash: 7 })
    }

    pub(super) fn effect(self, process: &str, id: &str) -> Self {
        self.note(process, Event::Effect { id: id.into() })
    }

    pub(super) fn settled(self, process: &str, id: &str, attempt: u32, outcome: Settled) -> Self {
        self.note(process, Event::Settled { turn: turn(id, attempt), outcome })
    }

    pub(super) fn failed(self, process: &str, id: &str, attempt: u32) -> Self {
        self.started(process, id, attempt).settled(process, id, attempt, Settled::Back)
    }

    pub(super) fn done(self, process: &str, id: &str, attempt: u32) -> Self {
        self.started(process, id, attempt).effect(process, id).settled(process, id, attempt, Settled::Gone)
    }

    pub(super) fn fault(self, kind: Fault, victim: &str) -> Self {
        self.note("director", Event::Fault { kind, victim: victim.into() })
    }

    pub(super) fn later(mut self, time: i64) -> Self {
        self.now += time;
        self
    }

    pub(super) fn check(&self, expected: &[Rule]) -> Report {
        let report = check(&self.histories);
        let rules: Vec<Rule> = report.violations.iter().map(|violation| violation.rule).collect();
        assert_eq!(rules, expected, "{:?}", report.violations);
        report
    }
}

pub(super) fn turn(id: &str, attempt: u32) -> Turn {
    Turn { id: id.into(), sequence: 0, attempt }
}

pub(super) fn tale() -> Tale {
    Tale::default()
}

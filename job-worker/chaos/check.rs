//! Proves from the histories of a run that nothing was lost, invented, or run more often than its faults explain.
//!
//! Pure: it reads no clock, no file and no broker. What it cannot prove it reports; it never repairs a history.

mod cause;
mod harm;
mod rule;
mod story;

use crate::record::{Event, Fault, History};

use cause::Causes;
use harm::Harm;
use story::{Span, Stories};

/// How long after the broker's return a process may take until it works again.
const RETURN_US: i64 = 15_000_000;

/// Share of the kills and drains that must strike a process with unsettled work.
const STRIKES_MIN: f64 = 0.8;

/// What a run has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) faults: usize,
    /// Jobs whose publish was confirmed.
    pub(crate) confirmed: usize,
    /// Jobs that ran.
    pub(crate) executed: usize,
    /// Runs of a turn beyond its first.
    pub(crate) duplicates: usize,
    /// What most likely made them.
    pub(crate) causes: Causes,
    pub(crate) violations: Vec<Violation>,
    /// Why the run proves nothing.
    pub(crate) void: Vec<String>,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) count: usize,
    pub(crate) text: String,
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Each stored job reaches an end.
    Lost,
    /// What was refused, or never published, does not run.
    Phantom,
    /// The turns of a job have no gap, none is begun again after its end, and there are as many as its script says.
    Attempts,
    /// A job ends as its script says.
    Ending,
    /// Each duplicate is explained by a fault that its first run did not survive.
    Duplicate,
    /// Two runs of one turn are not both recorded.
    Fence,
    /// A process that nobody robbed records what it ran.
    Unrecorded,
    /// Nothing starts in a process that was told to stop.
    Drain,
    /// A job arrives with the bytes that were enqueued.
    Payload,
    /// A broker without a fault of its own refuses nothing.
    Rejected,
    /// Who works is back at work soon after the broker is.
    Idle,
    /// A process does not end by itself.
    Died,
    /// The broker's own check finds no damage.
    Damaged,
    /// No job is left in a queue.
    Left,
}

impl Rule {
    /// All of them.
    pub(crate) const ALL: [Self; 14] = [
        Self::Lost,
        Self::Phantom,
        Self::Attempts,
        Self::Ending,
        Self::Duplicate,
        Self::Fence,
        Self::Unrecorded,
        Self::Drain,
        Self::Payload,
        Self::Rejected,
        Self::Idle,
        Self::Died,
        Self::Damaged,
        Self::Left,
    ];
}

impl Report {
    /// Counts the violations of a rule.
    pub(crate) fn count(&self, rule: Rule) -> usize {
        self.violations.iter().filter(|violation| violation.rule == rule).map(|violation| violation.count).sum()
    }

    /// Counts the violations of the rules that have no column of their own.
    pub(crate) fn unexplained(&self) -> usize {
        let total: usize = self.violations.iter().map(|violation| violation.count).sum();
        total - self.count(Rule::Lost) - self.count(Rule::Phantom) - self.count(Rule::Attempts)
    }

    fn add(&mut self, rule: Rule, text: String) {
        self.violations.push(Violation { rule, count: 1, text });
    }
}

/// Checks the histories of all processes of a run.
pub(crate) fn check(histories: &[History]) -> Report {
    let stories = Stories::gather(histories);
    let mut report = Report {
        faults: stories.harms.len(),
        confirmed: stories.jobs.values().filter(|job| job.is_stored).count(),
        executed: stories.jobs.values().filter(|job| !job.runs.is_empty()).count(),
        ..Report::default()
    };
    for (id, job) in &stories.jobs {
        rule::check(id, job, &stories, &mut report);
    }
    for history in histories {
        check_process(history, &stories, &mut report);
        check_return(history, &stories, &mut report);
    }
    check_strikes(&stories, &mut report);
    report
}

fn check_process(history: &History, stories: &Stories<'_>, report: &mut Report) {
    let name = &history.process;
    let is_robbed = stories.harms.iter().any(|harm| harm.kind == Fault::Steal && harm.victim == *name);
    let mut draining = None;
    for record in &history.records {
        match &record.event {
            Event::Draining => draining = Some(record.at),
            Event::Started { turn, .. } if draining.is_some_and(|at| record.at > at + rule::DRAIN_TOLERANCE_US) => {
                report.add(Rule::Drain, format!("{name} started {turn:?} after it was told to stop"));
            }
            Event::Unrecorded { turn } | Event::Unredriven { turn }
                if !is_robbed && !is_excused(turn_span(stories, &turn.id, name, record.at), &stories.harms) =>
            {
                report.add(Rule::Unrecorded, format!("{name} could not record {turn:?}"));
            }
            Event::Rejected { id, error } if !is_excused(publish_span(stories, id), &stories.harms) => {
                report.add(Rule::Rejected, format!("{id} was refused: {error}"));
            }
            Event::Died { victim, .. } if !has_begun(stories, victim) && is_away(record.at, &stories.harms) => {}
            Event::Died { victim, status } => report.add(Rule::Died, format!("{victim} ended: {status}")),
            Event::Damaged { detail } => report.add(Rule::Damaged, detail.clone()),
            Event::Left { queue, count } => report.add(Rule::Left, format!("{count} jobs are left in {queue}")),
            Event::Void { reason } => report.void.push(reason.clone()),
            _ => {}
        }
    }
}

/// True when a process has done anything: one that has not, and finds no broker, may end, and be started again.
fn has_begun(stories: &Stories<'_>, process: &str) -> bool {
    let begun = |span: &Span<'_>| span.process == process;
    stories.jobs.values().any(|job| {
        let spans = job.runs.iter().map(|run| run.span).chain(job.redrives.iter().map(|(_, span)| *span));
        job.publish.iter().copied().chain(spans).any(|span| begun(&span))
    })
}

fn is_away(at: i64, harms: &[Harm<'_>]) -> bool {
    harms.iter().any(|harm| harm.kind.is_of_broker() && (harm.from..=harm.to.saturating_add(RETURN_US)).contains(&at))
}

/// True when a fault of the broker explains that something failed.
fn is_excused(span: Option<Span<'_>>, harms: &[Harm<'_>]) -> bool {
    span.is_some_and(|span| harms.iter().any(|harm| harm.kind.is_of_broker() && harm.touches(&span)))
}

/// Returns the run or the redrive of a job that ended in a process at an instant.
fn turn_span<'a>(stories: &Stories<'a>, id: &str, process: &str, at: i64) -> Option<Span<'a>> {
    let job = stories.jobs.get(id)?;
    let spans = job.runs.iter().map(|run| run.span).chain(job.redrives.iter().map(|(_, span)| *span));
    spans.into_iter().find(|span| span.process == process && span.to == Some(at))
}

fn publish_span<'a>(stories: &Stories<'a>, id: &str) -> Option<Span<'a>> {
    stories.jobs.get(id)?.publish
}

/// A process that worked before the broker fell, and that nobody stopped since, works again soon after its return.
fn check_return(history: &History, stories: &Stories<'_>, report: &mut Report) {
    let (name, harms) = (&history.process, &stories.harms);
    // Until then, there was something to do for its like: who has a queue of its own finds it empty sooner than others. What
    // it should have done and nobody did is lost, or left.
    let is_alike = |process: &str| role(process) == role(name);
    let runs = stories.jobs.values().flat_map(|job| &job.runs).filter(|run| is_alike(run.span.process));
    let end = runs.map(|run| run.span.from).max().unwrap_or_default();
    let starts = || history.records.iter().filter(|record| matches!(record.event, Event::Started { .. }));
    let stopped = harms.iter().filter(|harm| harm.victim == *name).map(|harm| harm.from).min().unwrap_or(i64::MAX);
    let over =
        history.records.iter().find(|record| record.event == Event::Draining).map_or(i64::MAX, |record| record.at);
    for harm in harms.iter().filter(|harm| harm.kind.is_of_broker()) {
        let until = harm.to.saturating_add(RETURN_US);
        let falls_again = harms.iter().filter(|next| next.kind.is_of_broker() && next.from > harm.from);
        let again = falls_again.map(|next| next.from).min().unwrap_or(i64::MAX);
        let is_present = starts().any(|record| record.at < harm.from) && until < stopped.min(over).min(end).min(again);
        if is_present && !starts().any(|record| (harm.to..=until).contains(&record.at)) {
            report
                .add(Rule::Idle, format!("{name} did not work in the 15 s after the broker came back at {}", harm.to));
        }
    }
}

/// What a process does, by its name: a role, and a number.
fn role(process: &str) -> &str {
    process.rsplit_once('-').map_or(process, |(role, _)| role)
}

#[allow(clippy::cast_precision_loss, reason = "faults are few")]
fn check_strikes(stories: &Stories<'_>, report: &mut Report) {
    let aimed = stories.harms.iter().filter(|harm| matches!(harm.kind, Fault::Kill | Fault::Drain)).count();
    let strikes = stories.strikes();
    if (strikes as f64) < STRIKES_MIN * aimed as f64 {
        report.void.push(format!("only {strikes} of {aimed} kills and drains struck unsettled work"));
    }
}

#[cfg(test)]
mod tale;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_copies;

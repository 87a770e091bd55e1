//! The rules that one job's story keeps or breaks.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::cause::{Cause, Work};
use crate::check::harm::Copies;
use crate::check::story::{Run, Stories, Story};
use crate::check::{Report, Rule};
use crate::record::{Fault, Turn};

/// How long a run may take from the decision to start it to its record: the machine may be busy in between.
pub(super) const DRAIN_TOLERANCE_US: i64 = 250_000;

/// Checks one job.
pub(super) fn check(id: &str, job: &Story<'_>, stories: &Stories<'_>, report: &mut Report) {
    if !job.runs.is_empty() && !job.is_invited() {
        let why = if job.is_rejected { "was refused" } else { "was never published" };
        return report.add(Rule::Phantom, format!("{id} {why} and ran"));
    }
    if job.must_end() && !job.has_ended() {
        report.add(Rule::Lost, format!("{id} reached no end; its runs: {}", runs(job)));
    }
    check_ending(id, job, report);
    check_turns(id, job, report);
    if job.runs.iter().any(|run| run.hash != job.hash) {
        report.add(Rule::Payload, format!("{id} arrived with other bytes than were enqueued"));
    }
    let turns = turns(job);
    report.duplicates += turns.values().map(|runs| runs.len() - 1).sum::<usize>();
    if stories.is_atomic {
        turns.iter().for_each(|(turn, runs)| check_atomic(id, turn, runs, stories, report));
    } else if turns.values().any(|runs| runs.len() > 1) {
        check_copies(&turns, &Copies::of(job, stories), job, report);
    }
}

fn check_ending(id: &str, job: &Story<'_>, report: &mut Report) {
    let dies = job.expected.as_ref().is_some_and(|expected| expected.dies);
    if job.has_ended() && (dies != (job.dead > 0) || dies != (job.effects == 0)) {
        let (dead, effects) = (job.dead, job.effects);
        let refused = |(process, at, reason): &(&str, i64, &str)| format!("; refused as {reason} by {process} at {at}");
        let refusals: String = job.refusals.iter().map(refused).collect();
        let text = format!("{id} is to die: {dies}; found dead {dead} times, completed {effects} times{refusals}: ");
        report.add(Rule::Ending, text + &runs(job));
    }
}

/// The turns that it took are the first of its script; all of them, when it has ended.
fn check_turns(id: &str, job: &Story<'_>, report: &mut Report) {
    let Some(expected) = job.expected.as_ref().map(|expected| expected.steps()) else { return };
    let taken: BTreeSet<(u32, u32)> = job.runs.iter().map(Run::step).collect();
    let is_complete = !job.has_ended() || taken.len() == expected.len();
    if !is_complete || !taken.iter().copied().eq(expected.iter().take(taken.len()).copied()) {
        report.add(Rule::Attempts, format!("{id} took the turns {taken:?}, its script has {expected:?}"));
    }
}

fn turns<'a>(job: &'a Story<'a>) -> BTreeMap<&'a Turn, Vec<&'a Run<'a>>> {
    let mut turns: BTreeMap<&Turn, Vec<&Run<'_>>> = BTreeMap::new();
    job.runs.iter().for_each(|run| turns.entry(run.turn).or_default().push(run));
    turns
}

/// A turn runs once, and once more for each of its runs that a fault has cut off.
fn check_atomic(id: &str, turn: &Turn, runs: &[&Run<'_>], stories: &Stories<'_>, report: &mut Report) {
    let harms = &stories.harms;
    let cutting = runs.iter().filter_map(|run| harms.iter().find(|harm| harm.cuts(run)));
    let causes: Vec<_> = cutting.map(|harm| Cause { fault: harm.kind, work: Work::Run }).collect();
    let cut = causes.len();
    causes.into_iter().take(runs.len() - 1).for_each(|cause| report.causes.add(cause));
    if runs.len() - 1 > cut {
        let text = format!("{turn:?} ran {} times, {cut} of them were cut off: {}", runs.len(), list(runs));
        report.add(Rule::Duplicate, text);
    }
    let over: Vec<i64> = runs.iter().filter(|run| run.is_over()).filter_map(|run| run.span.to).collect();
    let end = over.iter().min().copied();
    // A process that was robbed may begin late what it had claimed before, while the heir is done with it.
    let is_late = |run: &Run<'_>| harms.iter().any(|harm| harm.kind == Fault::Steal && harm.cuts(run));
    if runs.iter().any(|run| end.is_some_and(|end| run.span.from > end) && !is_late(run)) {
        report.add(Rule::Attempts, format!("{id} began {turn:?} again after its end was recorded"));
    } else if over.len() > 1 {
        report.add(Rule::Fence, format!("the end of {turn:?} was recorded {} times", over.len()));
    }
}

/// A turn runs once, and once more for each copy of the job that a fault has made by then, at that turn or before it.
fn check_copies(turns: &BTreeMap<&Turn, Vec<&Run<'_>>>, copies: &Copies, job: &Story<'_>, report: &mut Report) {
    for (turn, runs) in turns {
        let mut begun: Vec<i64> = runs.iter().map(|run| run.span.from).collect();
        begun.sort_unstable();
        copies
            .causes((turn.sequence, turn.attempt), &begun[1..])
            .into_iter()
            .for_each(|cause| report.causes.add(cause));
        let explained = |at: i64| copies.count((turn.sequence, turn.attempt), at);
        if let Some((nth, at)) = begun.iter().enumerate().find(|(nth, at)| *nth > explained(**at)) {
            let text = format!("{turn:?} ran {nth} times before {at}, {} copies are explained: ", explained(*at));
            report.add(Rule::Duplicate, text + &self::runs(job));
        }
    }
}

fn runs(job: &Story<'_>) -> String {
    list(&job.runs.iter().collect::<Vec<_>>())
}

fn list(runs: &[&Run<'_>]) -> String {
    let run = |run: &&Run<'_>| {
        let Turn { sequence, attempt, .. } = run.turn;
        let end = match (run.span.to, run.settled) {
            (Some(at), Some(settled)) => format!("{settled:?} at {at}"),
            (Some(at), None) => format!("unrecorded at {at}"),
            (None, _) => "cut".to_owned(),
        };
        format!("{sequence}/{attempt} by {} at {}, {end}", run.span.process, run.span.from)
    };
    runs.iter().map(run).collect::<Vec<_>>().join("; ")
}

//! The rules that one job's story keeps or breaks.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::story::{Harm, Run, Story};
use crate::check::{Report, Rule};
use crate::record::{Fault, Turn};

/// How long a run may take from the decision to start it to its record: the machine may be busy in between.
pub(super) const DRAIN_TOLERANCE_US: i64 = 250_000;

/// Checks one job.
pub(super) fn check(id: &str, job: &Story<'_>, harms: &[Harm<'_>], report: &mut Report) {
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
    check_duplicates(id, job, harms, report);
}

fn check_ending(id: &str, job: &Story<'_>, report: &mut Report) {
    let dies = job.expected.is_some_and(|expected| expected.dies);
    if job.has_ended() && (dies != (job.dead > 0) || dies != (job.effects == 0)) {
        let (dead, effects) = (job.dead, job.effects);
        report.add(Rule::Ending, format!("{id} is to die: {dies}; found dead {dead} times, completed {effects} times"));
    }
}

/// From (0, 1) on, each turn is the next sequence or the next attempt, up to those of the script.
fn check_turns(id: &str, job: &Story<'_>, report: &mut Report) {
    let turns: BTreeSet<(u32, u32)> = job.runs.iter().map(|run| (run.turn.sequence, run.turn.attempt)).collect();
    let mut expected = [(0, 1), (0, 1)];
    let has_gap = turns.iter().any(|turn| {
        let fits = expected.contains(turn);
        expected = [(turn.0 + 1, turn.1), (turn.0, turn.1 + 1)];
        !fits
    });
    let last = job.expected.map(|expected| (expected.turns, expected.attempts));
    let is_complete = !job.has_ended() || turns.last().copied() == last;
    if has_gap || !is_complete {
        report.add(Rule::Attempts, format!("{id} has the turns {turns:?}, the last is to be {last:?}"));
    }
}

/// A turn runs once, and once more for each of its runs that a fault has cut off.
fn check_duplicates(id: &str, job: &Story<'_>, harms: &[Harm<'_>], report: &mut Report) {
    let mut turns: BTreeMap<&Turn, Vec<&Run<'_>>> = BTreeMap::new();
    job.runs.iter().for_each(|run| turns.entry(run.turn).or_default().push(run));
    for (turn, runs) in turns {
        let duplicates = runs.len() - 1;
        let cut = runs.iter().filter(|run| harms.iter().any(|harm| run.is_cut_by(harm))).count();
        report.duplicates += duplicates;
        if duplicates > cut {
            let text = format!("{turn:?} ran {} times, {cut} of them were cut off: {}", runs.len(), self::runs(job));
            report.add(Rule::Duplicate, text);
        }
        let over: Vec<i64> = runs.iter().filter(|run| run.is_over()).filter_map(|run| Some(run.settled?.0)).collect();
        let end = over.iter().min().copied();
        // A process that was robbed may begin late what it had claimed before, while the heir is done with it.
        let is_late = |run: &Run<'_>| harms.iter().any(|harm| harm.kind == Fault::Steal && run.is_cut_by(harm));
        if runs.iter().any(|run| end.is_some_and(|end| run.at > end) && !is_late(run)) {
            report.add(Rule::Attempts, format!("{id} began {turn:?} again after its end was recorded"));
        } else if over.len() > 1 {
            report.add(Rule::Fence, format!("the end of {turn:?} was recorded {} times", over.len()));
        }
    }
}

fn runs(job: &Story<'_>) -> String {
    let run = |run: &Run<'_>| {
        let Turn { sequence, attempt, .. } = run.turn;
        let end = run.settled.map_or("cut".to_owned(), |(at, settled)| format!("{settled:?} at {at}"));
        format!("{sequence}/{attempt} by {} at {}, {end}", run.process, run.at)
    };
    job.runs.iter().map(run).collect::<Vec<_>>().join("; ")
}

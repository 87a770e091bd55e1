//! Prints what a run has shown; its last line is for machines.

use std::process::ExitCode;

use crate::EX_VOID;
use crate::check::{Report, Rule};

/// Violations of a rule that are printed: the first ones tell the story.
const VIOLATIONS_MAX: usize = 5;

/// Prints a report, and returns the exit code: 0 for a proof, 1 for a broken promise, 2 for a run that proves nothing.
pub(crate) fn print(report: &Report) -> ExitCode {
    for rule in Rule::ALL {
        let broken = || report.violations.iter().filter(|violation| violation.rule == rule);
        broken().take(VIOLATIONS_MAX).for_each(|violation| println!("{rule:?}: {}", violation.text));
        let rest = broken().count().saturating_sub(VIOLATIONS_MAX);
        if rest > 0 {
            println!("{rule:?}: … and {rest} more");
        }
    }
    report.void.iter().for_each(|reason| println!("void: {reason}"));
    if let Some(causes) = report.causes.line() {
        println!("duplicates by their likely cause: {causes}");
    }
    println!("{}", line(report));
    match (report.violations.is_empty(), report.void.is_empty()) {
        (true, true) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
        (true, false) => ExitCode::from(EX_VOID),
    }
}

/// Returns the last line.
pub(crate) fn line(report: &Report) -> String {
    format!(
        "faults={} confirmed={} executed={} lost={} phantom={} duplicates={} unexplained={} attempts_wrong={}",
        report.faults,
        report.confirmed,
        report.executed,
        report.count(Rule::Lost),
        report.count(Rule::Phantom),
        report.duplicates,
        report.unexplained(),
        report.count(Rule::Attempts)
    )
}

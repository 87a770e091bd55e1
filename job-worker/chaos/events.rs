//! Events under kills: three groups listen to one topic, and each must hear every event that was stored.
//!
//! Tellers publish, listeners of each group run, and all of them are killed, as is the broker where it is a process. For a
//! while nothing is harmed, and one group is stopped: the others must hear what is published then as soon as ever. The
//! control is a run whose listeners acknowledge before they run: it must be seen to lose events.

use std::process::ExitCode;

use job_core::BoxError;
use job_core::sabotage::Mutant;

use crate::plan::Flags;

mod listen;
mod stage;
mod tell;
mod verdict;

pub(crate) use listen::{is_listener, set_up};
pub(crate) use tell::{TellFlags, tell};

use stage::Stage;
use verdict::Report;

/// Runs it, and with `--mutants` its control alone.
pub(crate) async fn direct(flags: &Flags) -> Result<ExitCode, BoxError> {
    let minutes = flags.minutes.ok_or("say how long with --minutes N")?;
    if !flags.mutants {
        let report = Stage::run(flags, minutes, None).await?;
        return Ok(tell_report(&report));
    }
    let report = Stage::run(flags, minutes, Some(Mutant::AcknowledgeFirst.name())).await?;
    println!("{}", report.line());
    Ok(match (report.missing.is_empty(), report.void.is_empty()) {
        (false, true) => {
            println!("the control is red, as it must be");
            ExitCode::SUCCESS
        }
        _ => {
            println!("the control lost nothing: the checker would not see it; {}", report.void.join("; "));
            ExitCode::FAILURE
        }
    })
}

/// Prints what was found; the last line is for machines.
fn tell_report(report: &Report) -> ExitCode {
    report.violations().take(10).for_each(|violation| println!("{violation}"));
    report.void.iter().for_each(|reason| println!("void: {reason}"));
    println!("{}", report.line());
    match (report.violations().next().is_none(), report.void.is_empty()) {
        (true, true) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
        (true, false) => ExitCode::from(crate::EX_VOID),
    }
}

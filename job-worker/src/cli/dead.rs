//! `dead`: what failed for good, and what becomes of it.
//!
//! Nothing is lost on the way: a job is settled only after it was taken, in one step with its return to its queue where
//! the broker can, and what a killed command had taken comes back.

mod change;
mod report;
mod selection;
mod view;
mod walk;

use std::process::ExitCode;

use job_core::envelope::Envelope;
use job_core::name::{JobId, QueueName};

use crate::cli::args::{DeadCommand, EditFlags, PurgeFlags, RetryFlags};
use crate::cli::dead::change::{Change, Changer, Tally};
use crate::cli::dead::selection::{Selection, Wanted};
use crate::cli::exit::{Failure, say};
use crate::cli::operator::Operator;
use crate::cli::output::count;
use crate::cli::{ask, input};

pub(super) async fn dead(url: &str, command: &DeadCommand) -> Result<ExitCode, Failure> {
    Operator::run(url, async |operator| match command {
        DeadCommand::List(flags) => view::list(operator, flags).await,
        DeadCommand::Show(flags) => view::show(operator, flags).await,
        DeadCommand::Retry(flags) => retry(operator, flags).await,
        DeadCommand::Edit(flags) => edit(operator, flags).await,
        DeadCommand::Purge(flags) => purge(operator, flags).await,
    })
    .await
}

async fn retry(operator: &Operator, flags: &RetryFlags) -> Result<ExitCode, Failure> {
    let selection = Selection::new(&flags.selection, operator.clock().now())?;
    let (tally, failure) = change(operator, &selection, Change::Retry).await?;
    report::report("retried", &tally, flags.output);
    report::end(&tally, failure)
}

async fn edit(operator: &Operator, flags: &EditFlags) -> Result<ExitCode, Failure> {
    let (queue, envelope) = found(operator, &flags.id, flags.queue.as_ref()).await?;
    let payload = input::payload(&flags.payload)?;
    input::check(envelope.kind_str(), &payload)?;
    let selection = Selection::one(flags.id.clone(), Some(queue), operator.clock().now());
    let (tally, failure) = change(operator, &selection, Change::Edit(payload)).await?;
    report::report("edited", &tally, flags.output);
    report::end(&tally, failure)
}

async fn purge(operator: &Operator, flags: &PurgeFlags) -> Result<ExitCode, Failure> {
    let selection = Selection::new(&flags.selection, operator.clock().now())?;
    let count = match &selection.wanted {
        Wanted::Id(id) => found(operator, id, selection.queue.as_ref()).await.map(|_| 1)?,
        _ => walk::count(operator.inspect()?, &selection).await?,
    };
    if count > 0 && !flags.yes && !confirm_purge(count)? {
        say("nothing was deleted");
        return Ok(ExitCode::SUCCESS);
    }
    let (tally, failure) = change(operator, &selection, Change::Purge).await?;
    report::report("purged", &tally, flags.output);
    report::end(&tally, failure)
}

fn confirm_purge(jobs: usize) -> Result<bool, Failure> {
    let jobs = count(jobs, "dead job");
    ask::confirm(&format!("{jobs} would be deleted for ever"), &format!("Delete {jobs} for ever?"))
}

/// Changes what was selected; a failure half-way comes with what was done before it.
async fn change(
    operator: &Operator,
    selection: &Selection,
    change: Change,
) -> Result<(Tally, Option<Failure>), Failure> {
    let changer = Changer { operator, inspect: operator.inspect()?, selection, change };
    if let Wanted::Id(id) = &selection.wanted {
        let (queue, _) = found(operator, id, selection.queue.as_ref()).await?;
        return Ok((changer.one(queue, id.clone()).await?, None));
    }
    changer.all().await
}

/// Finds a dead job by its id.
async fn found(operator: &Operator, id: &JobId, queue: Option<&QueueName>) -> Result<(QueueName, Envelope), Failure> {
    let place = queue.map_or_else(String::new, |queue| format!(" in queue \"{}\"", queue.work()));
    walk::locate(operator, id, queue)
        .await?
        .ok_or_else(|| Failure::missing(format!("no job {id} is dead{place}; `dead list` shows those that are")))
}

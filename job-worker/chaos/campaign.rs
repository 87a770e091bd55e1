//! Breaks one promise after the other, and requires that the checker names each; and that it names none in between.

use std::process::ExitCode;
use std::time::Duration;

use job_core::BoxError;
use job_core::sabotage::Mutant;

use crate::broker::{Blow, BrokerKind};
use crate::check::Rule;
use crate::director;
use crate::plan::{Flags, Plan, Step};
use crate::report::{line, print};

/// A mutant, what it must be caught by, and what is done to the broker beside the kills.
type Symptom = (Mutant, &'static [Rule], &'static [Blow]);

/// Those of the worker, whatever the broker.
const WORKER: [Symptom; 4] = [
    (Mutant::AcknowledgeFirst, &[Rule::Lost], &[]),
    // Where a turn may run again, it is a run that no fault explains.
    (Mutant::RetrySameAttempt, &[Rule::Attempts, Rule::Duplicate], &[]),
    (Mutant::StartAfterTerm, &[Rule::Drain], &[]),
    (Mutant::ReencodeOnRetry, &[Rule::Payload], &[]),
];

/// Those of the embedded broker.
const SQLITE: [Symptom; 3] = [
    (Mutant::NoFence, &[Rule::Fence, Rule::Unrecorded], &[]),
    (Mutant::ForgetThen, &[Rule::Lost], &[]),
    (Mutant::DeferredBegin, &[Rule::Rejected, Rule::Died], &[]),
];

/// Those of RabbitMQ.
const RABBITMQ: [Symptom; 3] = [
    // Publishes wait while an alarm is on, and acknowledgements do not.
    (Mutant::AckBeforeConfirm, &[Rule::Lost], &[Blow::Memory]),
    // The first jobs are published before there is a queue that takes them.
    (Mutant::TrustMandatory, &[Rule::Lost], &[]),
    (Mutant::AckOverGap, &[Rule::Lost], &[]),
];

/// The mutants that no run shows, and why.
const NOT_TRIED: [(Mutant, BrokerKind, &str); 3] = [
    // The crash images of a recording file system are what must catch it, and their test is to switch it on.
    (Mutant::EnqueueUnflushed, BrokerKind::Sqlite, "it takes a loss of power"),
    (Mutant::AckAcrossGenerations, BrokerKind::Rabbitmq, "a number of an old channel means nothing on a new one yet"),
    (Mutant::KeepXDeath, BrokerKind::Rabbitmq, "it takes a job that the broker itself declared dead"),
];

const JOBS: u64 = 400;
const KILLS: usize = 3;
const STEALS: usize = 4;
const DRAINS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(4);

/// Runs each mutant, and one run without.
pub(crate) async fn run(flags: &Flags) -> Result<ExitCode, BoxError> {
    let all = symptoms(flags.broker);
    let mut red = 0;
    for (mutant, symptoms, blows) in all.iter().copied() {
        let plan = plan(flags, Some(mutant), blows)?;
        let report = director::run(&plan).await?;
        let is_red = symptoms.iter().any(|rule| report.count(*rule) > 0);
        director::tidy(&plan, if is_red { ExitCode::SUCCESS } else { ExitCode::FAILURE })?;
        red += usize::from(is_red);
        let verdict = if is_red { "red, as it must be" } else { "NOT SEEN" };
        println!("mutant {}: {verdict} ({symptoms:?}): {}", mutant.name(), line(&report));
    }
    for (mutant, _, why) in NOT_TRIED.iter().filter(|(_, broker, _)| *broker == flags.broker) {
        println!("mutant {}: not tried, {why}", mutant.name());
    }
    let plan = plan(flags, None, &[])?;
    let outcome = print(&director::run(&plan).await?);
    director::tidy(&plan, outcome)?;
    let is_clean = outcome == ExitCode::SUCCESS;
    println!("mutants={} red={red} clean={}", all.len(), if is_clean { "green" } else { "red" });
    Ok(if is_clean && red == all.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn symptoms(broker: BrokerKind) -> Vec<Symptom> {
    let own: &[Symptom] = match broker {
        BrokerKind::Sqlite => &SQLITE,
        BrokerKind::Rabbitmq => &RABBITMQ,
    };
    WORKER.iter().chain(own).copied().collect()
}

fn plan(flags: &Flags, mutant: Option<Mutant>, blows: &[Blow]) -> Result<Plan, BoxError> {
    let short = Flags { jobs: Some(JOBS), kills: Some(KILLS), drains: DRAINS, steals: Some(STEALS), ..flags.clone() };
    let mut plan = short.plan()?;
    let middle = plan.steps.len() / 2;
    plan.steps.splice(middle..middle, blows.iter().copied().map(Step::Strike));
    let name = mutant.map_or("clean", Mutant::name);
    Ok(Plan {
        folder: plan.folder.with_file_name(format!("mutant-{name}-{}", std::process::id())),
        patience: if mutant.is_some() { PATIENCE } else { plan.patience },
        mutant: mutant.map(Mutant::name),
        ..plan
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_is_tried_or_said_to_be_not() {
        let symptoms = [BrokerKind::Sqlite, BrokerKind::Rabbitmq].map(symptoms).concat();
        let is_tried = |mutant: &Mutant| symptoms.iter().any(|(m, ..)| m == mutant);
        let is_named = |mutant: &Mutant| NOT_TRIED.iter().any(|(m, ..)| m == mutant);
        assert!(Mutant::ALL.iter().chain(&Mutant::AMQP).all(|mutant| is_tried(mutant) != is_named(mutant)));
    }
}

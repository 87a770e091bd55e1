//! Breaks one promise after the other, and requires that the checker names each; and that it names none in between.

use std::process::ExitCode;
use std::time::Duration;

use job_core::BoxError;
use job_core::sabotage::Mutant;

use crate::broker::{Blow, BrokerKind};
use crate::check::{Report, Rule};
use crate::director;
use crate::plan::{Flags, Plan, Step};
use crate::process::Role;
use crate::report::{line, print};

/// A mutant, and how it is seen.
#[derive(Clone, Copy)]
struct Trial {
    mutant: Mutant,
    /// One of these must see it.
    rules: &'static [Rule],
    scene: Scene,
}

/// What a run without a mutant must survive, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scene {
    jobs: u64,
    /// What is done before the kills and drains that each run has.
    first: &'static [Step],
    /// How much longer the jobs take.
    stretch: u32,
    /// How long the steps are apart at least.
    step: Duration,
}

const PLAIN: Scene = Scene { jobs: 400, first: &[], stretch: 1, step: Duration::ZERO };

/// Publishes wait while an alarm is on, and acknowledgements do not.
const ALARM: Scene = Scene { first: &[Step::Strike(Blow::Memory)], ..PLAIN };

/// Jobs that are still running when the next connection has been given others, under the same numbers. Those others are
/// to die before they end.
const LONG: Scene = Scene {
    jobs: 120,
    first: &[CUT, KILL, KILL, KILL, CUT, KILL, KILL, KILL, CUT, KILL, KILL, KILL],
    stretch: 30,
    step: Duration::from_secs(1),
};

const CUT: Step = Step::Strike(Blow::Cut);
const KILL: Step = Step::Kill(Role::Worker);

/// Those of the worker, whatever the broker.
const WORKER: [Trial; 4] = [
    trial(Mutant::AcknowledgeFirst, &[Rule::Lost], PLAIN),
    // Where a settlement and what follows are two steps, a turn that is taken again is no more than a duplicate.
    trial(Mutant::RetrySameAttempt, &[Rule::Attempts, Rule::Duplicate], PLAIN),
    trial(Mutant::StartAfterTerm, &[Rule::Drain], PLAIN),
    trial(Mutant::ReencodeOnRetry, &[Rule::Payload], PLAIN),
];

/// Those of the embedded broker.
const SQLITE: [Trial; 3] = [
    trial(Mutant::NoFence, &[Rule::Fence, Rule::Unrecorded], PLAIN),
    trial(Mutant::ForgetThen, &[Rule::Lost], PLAIN),
    trial(Mutant::DeferredBegin, &[Rule::Rejected, Rule::Died], PLAIN),
];

/// Those of RabbitMQ.
const RABBITMQ: [Trial; 4] = [
    trial(Mutant::AckBeforeConfirm, &[Rule::Lost], ALARM),
    // The first jobs are published before there is a queue that takes them.
    trial(Mutant::TrustMandatory, &[Rule::Lost], PLAIN),
    trial(Mutant::AckAcrossGenerations, &[Rule::Lost], LONG),
    trial(Mutant::AckOverGap, &[Rule::Lost], PLAIN),
];

/// The mutants that no run shows, and why.
const NOT_TRIED: [(Mutant, BrokerKind, &str); 2] = [
    // The crash images of a recording file system are what must catch it, and their test is to switch it on.
    (Mutant::EnqueueUnflushed, BrokerKind::Sqlite, "it takes a loss of power"),
    // Of what a run sends, nothing has such marks.
    (Mutant::KeepXDeath, BrokerKind::Rabbitmq, "its test is amqp_circle, of job-core"),
];

const KILLS: usize = 3;
const STEALS: usize = 4;
const DRAINS: usize = 2;

/// How long a run may take to its end: what still waits is not lost.
const END_PATIENCE: Duration = Duration::from_secs(180);

/// How long it may take elsewhere: what is to be seen there is seen by then, and some mutants never come to an end.
const PATIENCE: Duration = Duration::from_secs(4);

const fn trial(mutant: Mutant, rules: &'static [Rule], scene: Scene) -> Trial {
    Trial { mutant, rules, scene }
}

/// Runs each mutant, and each scene once without.
pub(crate) async fn run(flags: &Flags) -> Result<ExitCode, BoxError> {
    let mut trials = trials(flags.broker);
    if let Some(name) = &flags.mutant {
        trials.retain(|trial| trial.mutant.name() == name);
        trials.first().ok_or_else(|| format!("no run shows a mutant {name:?} of this broker"))?;
    }
    let mut red = 0;
    for trial in &trials {
        let plan = trial.plan(flags)?;
        let report = director::run(&plan).await?;
        let is_red = trial.rules.iter().any(|rule| is_seen(*rule, &report));
        director::tidy(&plan, if is_red { ExitCode::SUCCESS } else { ExitCode::FAILURE })?;
        red += usize::from(is_red);
        let verdict = if is_red { "red, as it must be" } else { "NOT SEEN" };
        println!("mutant {}: {verdict} ({:?}): {}", trial.mutant.name(), trial.rules, line(&report));
    }
    for (mutant, _, why) in NOT_TRIED.iter().filter(|(_, broker, _)| *broker == flags.broker) {
        println!("mutant {}: not tried, {why}", mutant.name());
    }
    let mut is_clean = true;
    for (number, scene) in (1..).zip(scenes(&trials)) {
        let plan = scene.plan(flags, &format!("none-{number}"))?;
        let outcome = print(&director::run(&plan).await?);
        director::tidy(&plan, outcome)?;
        is_clean &= outcome == ExitCode::SUCCESS;
    }
    println!("mutants={} red={red} clean={}", trials.len(), if is_clean { "green" } else { "red" });
    Ok(if is_clean && red == trials.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says whether a rule has seen something. A loss counts only in a run that has come to its end.
fn is_seen(rule: Rule, report: &Report) -> bool {
    let has_ended = report.void.is_empty() && report.count(Rule::Left) == 0;
    report.count(rule) > 0 && (rule != Rule::Lost || has_ended)
}

fn trials(broker: BrokerKind) -> Vec<Trial> {
    let own: &[Trial] = match broker {
        BrokerKind::Sqlite => &SQLITE,
        BrokerKind::Rabbitmq => &RABBITMQ,
    };
    WORKER.iter().chain(own).copied().collect()
}

fn scenes(trials: &[Trial]) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for scene in trials.iter().map(|trial| trial.scene) {
        if !scenes.contains(&scene) {
            scenes.push(scene);
        }
    }
    scenes
}

impl Trial {
    fn plan(&self, flags: &Flags) -> Result<Plan, BoxError> {
        let plan = self.scene.plan(flags, self.mutant.name())?;
        let patience = if self.rules.contains(&Rule::Lost) { plan.patience } else { PATIENCE };
        Ok(Plan { mutant: Some(self.mutant.name()), patience, ..plan })
    }
}

impl Scene {
    fn plan(&self, flags: &Flags, name: &str) -> Result<Plan, BoxError> {
        let Self { jobs, first, stretch, step } = *self;
        let short =
            Flags { jobs: Some(jobs), kills: Some(KILLS), drains: DRAINS, steals: Some(STEALS), ..flags.clone() };
        let mut plan = short.plan()?;
        plan.steps.splice(0..0, first.iter().copied());
        let steps = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
        Ok(Plan {
            folder: plan.folder.with_file_name(format!("mutant-{name}-{}", std::process::id())),
            duration: plan.duration.max(step * steps),
            patience: END_PATIENCE,
            stretch,
            ..plan
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Violation;

    #[test]
    fn every_mutant_is_tried_or_said_to_be_not() {
        let trials = [BrokerKind::Sqlite, BrokerKind::Rabbitmq].map(trials).concat();
        let is_tried = |mutant: &Mutant| trials.iter().any(|trial| trial.mutant == *mutant);
        let is_named = |mutant: &Mutant| NOT_TRIED.iter().any(|(m, ..)| m == mutant);
        assert!(Mutant::ALL.iter().chain(&Mutant::AMQP).all(|mutant| is_tried(mutant) != is_named(mutant)));
    }

    #[test]
    fn what_still_waits_is_not_lost() {
        let violation = |rule| Violation { rule, count: 1, text: String::new() };
        let report =
            |rules: &[Rule]| Report { violations: rules.iter().copied().map(violation).collect(), ..Report::default() };
        assert!(is_seen(Rule::Lost, &report(&[Rule::Lost])));
        assert!(!is_seen(Rule::Lost, &report(&[Rule::Lost, Rule::Left])));
        assert!(!is_seen(Rule::Lost, &Report { void: vec!["the director failed".into()], ..report(&[Rule::Lost]) }));
        assert!(is_seen(Rule::Drain, &report(&[Rule::Drain, Rule::Left])));
        assert!(!is_seen(Rule::Drain, &report(&[Rule::Left])));
    }
}

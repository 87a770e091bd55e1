//! The worker role: the framework's own command line, with a job that follows its script and a history around it.

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::BoxFuture;
use job_core::clock::Clock;
use job_core::context::Parts;
use job_core::envelope::Envelope;
use job_core::observation::{FinishedOutcome, Observation, Observer, Phase, Run};
use job_core::{BoxError, Context, Job, JobError, Perform};
use job_worker::WorkerBuilder;
use job_worker::middleware::{Middleware, NextRun, RunResult};
use serde::{Deserialize, Serialize};

use crate::record::{Book, Event, Settled, Turn, hash};
use crate::script::{Answer, Script};

const SNOOZE: Duration = Duration::from_millis(30);

/// What a worker's jobs share: the history.
struct Ledger {
    book: Book,
}

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "chores", state(Arc<Ledger>), max_attempts = 4, backoff = "fixed(50ms)")]
struct Chore {
    #[serde(flatten)]
    script: Script,
}

/// A job that dies, and that the operator redrives: in a queue of its own, whose dead are all to be redriven.
#[derive(Job, Serialize, Deserialize)]
#[job(queue = "repairs", state(Arc<Ledger>), max_attempts = 4, backoff = "fixed(50ms)")]
struct Repair {
    #[serde(flatten)]
    script: Script,
}

impl Perform for Chore {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        follow(&self.script, cx.envelope(), cx.state::<Arc<Ledger>>()).await
    }
}

impl Perform for Repair {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        follow(&self.script, cx.envelope(), cx.state::<Arc<Ledger>>()).await
    }
}

async fn follow(script: &Script, envelope: &Envelope, ledger: &Ledger) -> Result<(), JobError> {
    Clock::system().sleep(Duration::from_millis(script.milliseconds)).await;
    match script.answer(envelope.sequence, envelope.attempt) {
        Answer::Snooze => Err(JobError::snooze(SNOOZE)),
        Answer::Continue => Err(JobError::continue_with(envelope.sequence)),
        Answer::Fail => Err("it was told to fail".into()),
        Answer::Discard => Err(JobError::discard("it was told to give up")),
        Answer::Complete => {
            ledger.book.note(Event::Effect { id: envelope.id.to_string() });
            Ok(())
        }
    }
}

struct Witness(Arc<Ledger>);

impl Middleware for Witness {
    fn call<'a>(&'a self, run: &'a Parts, next: NextRun<'a>) -> BoxFuture<'a, RunResult> {
        Box::pin(async move {
            let turn = Turn::of(&run.envelope);
            self.0.book.note(Event::Started { turn: turn.clone(), hash: hash(&run.envelope.payload) });
            let result = next.run().await;
            let answer = result.as_ref().map_or_else(|error| format!("{:?}", error.next()), |()| "ok".into());
            self.0.book.note(Event::Finished { turn, answer });
            result
        })
    }
}

impl Observer for Witness {
    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::Finished { run, outcome, .. } => self.settled(*run, *outcome),
            // Neither is a run, and both may show what became of a job.
            Observation::Refused { run, reason, .. } => {
                self.0.book.note(Event::Refused { turn: Turn::of_run(*run), reason: reason.as_str().to_owned() });
            }
            Observation::Parked { run, reason, .. } => {
                self.0.book.note(Event::PutAside { turn: Turn::of_run(*run), reason: (*reason).to_owned() });
            }
            Observation::Phase { phase: Phase::Draining, .. } => self.0.book.note(Event::Draining),
            _ => {}
        }
    }
}

impl Witness {
    fn settled(&self, run: Run<'_>, outcome: FinishedOutcome) {
        let turn = Turn::of_run(run);
        let outcome = match outcome {
            FinishedOutcome::Completed | FinishedOutcome::Dead(_) | FinishedOutcome::Forgotten => Settled::Gone,
            FinishedOutcome::Retried | FinishedOutcome::Snoozed | FinishedOutcome::Continued => Settled::Back,
            FinishedOutcome::Released => Settled::Released,
            FinishedOutcome::Unrecorded => return self.0.book.note(Event::Unrecorded { turn }),
        };
        self.0.book.note(Event::Settled { turn, outcome });
    }
}

/// Gives a worker its history.
pub(crate) fn set_up(worker: WorkerBuilder) -> Result<WorkerBuilder, BoxError> {
    let ledger = Arc::new(Ledger { book: Book::of_this_process()? });
    Ok(worker.state(Arc::clone(&ledger)).middleware(Witness(Arc::clone(&ledger))).observer(Arc::new(Witness(ledger))))
}

//! The mutants of the worker.

use job_core::broker::{BoxFuture, Outcome, Settle};
use job_core::envelope::Envelope;
use job_core::error::Result;
use job_core::sabotage::{Mutant, is_on};

/// An acknowledger that has nothing left to do.
struct Settled;

impl Settle for Settled {
    fn settle(self: Box<Self>, _outcome: Outcome) -> BoxFuture<'static, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Acknowledges at once under [`Mutant::AcknowledgeFirst`].
pub(crate) fn before_run(settle: Box<dyn Settle>) -> Box<dyn Settle> {
    if !is_on(Mutant::AcknowledgeFirst) {
        return settle;
    }
    // Settling begins with the call.
    drop(settle.settle(Outcome::Done { then: Vec::new() }));
    Box::new(Settled)
}

/// Says whether the worker goes on when it is told to stop.
pub(crate) fn ignores_stop() -> bool {
    is_on(Mutant::StartAfterTerm)
}

/// Changes what a failed run comes back as.
pub(crate) fn outcome(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Later { at, mut envelope } => {
            spoil(&mut envelope);
            Outcome::Later { at, envelope }
        }
        other => other,
    }
}

fn spoil(envelope: &mut Envelope) {
    if is_on(Mutant::RetrySameAttempt) {
        envelope.attempt = envelope.details.failures.last().map_or(envelope.attempt, |failure| failure.attempt);
    }
    if is_on(Mutant::ReencodeOnRetry)
        && let Ok(value) = serde_json::from_slice::<serde_json::Value>(&envelope.payload)
    {
        envelope.payload = value.to_string().into_bytes();
    }
}

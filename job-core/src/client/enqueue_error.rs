//! What an enqueue that did not succeed says: rejected or unconfirmed, and how to try again.

use std::error::Error as StdError;
use std::fmt;

use crate::broker::Outgoing;
use crate::client::unsent::{Unsent, tell_cause};
use crate::client::{Client, Enqueue};
use crate::error::Error;
use crate::name::JobId;

/// A job was not confirmed as stored.
pub struct EnqueueError(Box<Unsent>);

impl EnqueueError {
    pub(crate) fn new(error: Error, message: Option<Outgoing>, client: &Client) -> Self {
        Self(Unsent::new(error, message, client))
    }

    /// True when the job was certainly not stored and will not run.
    pub fn is_rejected(&self) -> bool {
        self.0.error.is_rejected()
    }

    /// True when nobody knows whether the job was stored.
    pub fn is_unconfirmed(&self) -> bool {
        self.0.error.is_unconfirmed()
    }

    /// Returns the id under which the job was sent; `None` when it was refused before.
    pub fn id(&self) -> Option<&JobId> {
        self.0.id()
    }

    /// Returns the error beneath.
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// Tries again under the same id: while the first copy is stored, it is not stored twice. A job that ran in the
    /// meantime may run again. A job that was refused before it was sent is refused again.
    pub fn resend(self) -> Enqueue {
        let (client, draft) = self.0.again();
        Enqueue::new(client, draft)
    }
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.tell("job", f)
    }
}

impl fmt::Debug for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell_cause(self, f)
    }
}

impl StdError for EnqueueError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.error.source()
    }
}

/// Some of many jobs were not confirmed as stored.
pub struct EnqueueManyError {
    outcomes: Vec<Result<JobId, EnqueueError>>,
}

impl EnqueueManyError {
    pub(crate) fn check(outcomes: Vec<Result<JobId, EnqueueError>>) -> Result<Vec<JobId>, Self> {
        if outcomes.iter().any(Result::is_err) {
            return Err(Self { outcomes });
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Returns the outcome of each job, in the order in which they were given.
    pub fn outcomes(&self) -> &[Result<JobId, EnqueueError>] {
        &self.outcomes
    }

    /// Returns the outcome of each job, to keep or resend.
    pub fn into_outcomes(self) -> Vec<Result<JobId, EnqueueError>> {
        self.outcomes
    }

    /// True when one of the jobs is unconfirmed.
    pub fn is_unconfirmed(&self) -> bool {
        self.errors().any(EnqueueError::is_unconfirmed)
    }

    /// True when none of the failed jobs was stored.
    pub fn is_rejected(&self) -> bool {
        self.errors().all(EnqueueError::is_rejected)
    }

    fn errors(&self) -> impl Iterator<Item = &EnqueueError> {
        self.outcomes.iter().filter_map(|outcome| outcome.as_ref().err())
    }
}

impl fmt::Display for EnqueueManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.errors().count();
        write!(f, "{count} of {} jobs were not confirmed as stored", self.outcomes.len())?;
        match self.errors().next() {
            Some(first) => write!(f, "; the first: {first}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for EnqueueManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for EnqueueManyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.errors().next().map(|e| e as _)
    }
}

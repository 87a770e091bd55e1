//! What a publish that did not succeed says: rejected, unheard or unconfirmed, and how to try again.

use std::error::Error as StdError;
use std::fmt;

use crate::broker::Outgoing;
use crate::client::unsent::{Unsent, tell_cause};
use crate::client::{Client, Publish, Published};
use crate::error::Error;
use crate::name::JobId;

/// An event was not confirmed as stored.
pub struct PublishError(Box<Unsent>);

impl PublishError {
    pub(crate) fn new(error: Error, message: Option<Outgoing>, client: &Client) -> Self {
        Self(Unsent::new(error, message, client))
    }

    /// True when no copy of the event was stored: nobody will hear it.
    pub fn is_rejected(&self) -> bool {
        self.0.error.is_rejected()
    }

    /// True when no queue takes the event and [`require_subscriber`](Publish::require_subscriber) demanded one.
    pub fn is_unheard(&self) -> bool {
        self.0.error.is_unheard()
    }

    /// True when nobody knows which copies of the event were stored.
    pub fn is_unconfirmed(&self) -> bool {
        self.0.error.is_unconfirmed()
    }

    /// Returns the id under which the event was sent; `None` when it was refused before.
    pub fn id(&self) -> Option<&JobId> {
        self.0.id()
    }

    /// Returns the error beneath.
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// Tries again under the same id: a queue that still holds its copy gets no second one. A subscription that has run
    /// its copy meanwhile runs again. An event that was refused before it was sent is refused again.
    pub fn resend(self) -> Publish {
        let (client, draft) = self.0.again();
        Publish::new(client, draft)
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.tell("event", f)
    }
}

impl fmt::Debug for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell_cause(self, f)
    }
}

impl StdError for PublishError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.error.source()
    }
}

/// Some of many events were not confirmed as stored.
pub struct PublishManyError {
    outcomes: Vec<Result<Published, PublishError>>,
}

impl PublishManyError {
    pub(crate) fn check(outcomes: Vec<Result<Published, PublishError>>) -> Result<Vec<Published>, Self> {
        if outcomes.iter().any(Result::is_err) {
            return Err(Self { outcomes });
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Returns the outcome of each event, in the order in which they were given.
    pub fn outcomes(&self) -> &[Result<Published, PublishError>] {
        &self.outcomes
    }

    /// Returns the outcome of each event, to keep or resend.
    pub fn into_outcomes(self) -> Vec<Result<Published, PublishError>> {
        self.outcomes
    }

    /// True when one of the events is unconfirmed.
    pub fn is_unconfirmed(&self) -> bool {
        self.errors().any(PublishError::is_unconfirmed)
    }

    /// True when no copy of the failed events was stored.
    pub fn is_rejected(&self) -> bool {
        self.errors().all(PublishError::is_rejected)
    }

    fn errors(&self) -> impl Iterator<Item = &PublishError> {
        self.outcomes.iter().filter_map(|outcome| outcome.as_ref().err())
    }
}

impl fmt::Display for PublishManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.errors().count();
        write!(f, "{count} of {} events were not confirmed as stored", self.outcomes.len())?;
        match self.errors().next() {
            Some(first) => write!(f, "; the first: {first}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PublishManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for PublishManyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.errors().next().map(|e| e as _)
    }
}

//! What errors of enqueueing and of publishing have in common: the message, where it got that far, and who sends it again.

use std::fmt;

use crate::broker::Outgoing;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::name::JobId;

/// A message that was not confirmed as stored.
pub(super) struct Unsent {
    pub(super) error: Error,
    message: Option<Outgoing>,
    client: Client,
}

impl Unsent {
    pub(super) fn new(error: Error, message: Option<Outgoing>, client: &Client) -> Box<Self> {
        Box::new(Self { error, message, client: client.clone() })
    }

    /// Returns the id under which it was sent; `None` when it was refused before.
    pub(super) fn id(&self) -> Option<&JobId> {
        self.message.as_ref().map(|message| &message.envelope.id)
    }

    /// Returns what another try begins with. What was refused before it was sent is refused again.
    pub(super) fn again(self) -> (Client, Result<Outgoing>) {
        (self.client, self.message.ok_or(self.error))
    }

    /// Writes what became of it: `job 7 is rejected: …`.
    pub(super) fn tell(&self, noun: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match () {
            () if self.error.is_unconfirmed() => "unconfirmed",
            () if self.error.is_unheard() => "unheard",
            () => "rejected",
        };
        match self.id() {
            Some(id) => write!(f, "{noun} {id} is {outcome}: {}", self.error),
            None => write!(f, "{noun} {outcome}: {}", self.error),
        }
    }
}

/// Writes an error with its cause, for those who print errors by `{:?}`, as `main` does.
pub(super) fn tell_cause(error: &dyn std::error::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fmt::Display::fmt(error, f)?;
    match error.source() {
        Some(source) => write!(f, ": {source}"),
        None => Ok(()),
    }
}

//! One piece of work for the thread that writes.
//!
//! An operation may be run again, alone, when another one of its group failed: it must not consume itself.

use tokio::sync::oneshot;

use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::session::Session;
use crate::sabotage::{self, Mutant};

/// How an operation is committed, and what happens when that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Flushed to the disk; fails when the file cannot be written now.
    Publish,
    /// As `Publish`, and so much that it needs no company.
    PublishMany,
    /// Flushed to the disk; tried again until the file can be written.
    Settle,
    /// May be lost with the power; tried again until the file can be written.
    Swift,
    /// As `Swift`, and may wait a moment for company.
    Lazy,
}

impl Manner {
    /// True for what adds jobs: it is not tried again when it fails.
    pub(super) fn is_publish(self) -> bool {
        matches!(self, Self::Publish | Self::PublishMany)
    }

    /// True when the commit must reach the disk.
    pub(super) fn is_full(self) -> bool {
        match self {
            Self::Publish | Self::PublishMany => !sabotage::is_on(Mutant::EnqueueUnflushed),
            Self::Settle => true,
            Self::Swift | Self::Lazy => false,
        }
    }
}

/// One piece of work.
pub(super) trait Op: Send {
    fn manner(&self) -> Manner;

    /// Does the work inside a transaction.
    fn apply(&mut self, session: &mut Session) -> Result<(), Fault>;

    /// Says how it ended, after the commit.
    fn answer(self: Box<Self>, outcome: Result<(), Fault>);
}

/// What the thread that writes is told.
pub(super) enum Message {
    /// Do this.
    Op(Box<dyn Op>),
    /// Somebody began to wait: look around.
    Nudge,
    /// Finish, give back, and end.
    Stop(oneshot::Sender<()>),
    /// End at once, as if killed.
    Kill,
}

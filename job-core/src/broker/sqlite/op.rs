//! One piece of work for the thread that writes, and the way to hand it over.
//!
//! An operation may be run again, alone, when another one of its group failed: it must not consume itself.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

use crate::broker::sqlite::fault::{Fault, FaultKind, Site};
use crate::broker::sqlite::session::Session;
use crate::error::Result;
use crate::sabotage::{self, Mutant};

/// How an operation is committed, and what happens when that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Flushed to the disk; fails when the file cannot be written now.
    Publish,
    /// Flushed to the disk; tried again until the file can be written.
    Settle,
    /// May be lost with the power; tried again until the file can be written.
    Swift,
    /// As `Swift`, and may wait a moment for company.
    Lazy,
}

impl Manner {
    /// True when the commit must reach the disk.
    pub(super) fn is_full(self) -> bool {
        match self {
            Self::Publish => !sabotage::is_on(Mutant::EnqueueUnflushed),
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

/// The way to the thread that writes.
#[derive(Clone, Debug)]
pub(super) struct Port {
    sender: Sender<Message>,
    running: Arc<AtomicUsize>,
    pub(super) site: Arc<Site>,
}

impl Port {
    pub(super) fn new(sender: Sender<Message>, site: Arc<Site>) -> Self {
        Self { sender, running: Arc::default(), site }
    }

    /// Returns how many jobs are handed out and not settled, in this process.
    pub(super) fn running(&self) -> &Arc<AtomicUsize> {
        &self.running
    }

    /// Hands over a message; a thread that has ended drops it, and with it the sender of its answer.
    pub(super) fn send(&self, message: Message) {
        // The queue needs no bound of its own: each caller waits for its answer, and settlements are as few as runs.
        let _ = self.sender.send(message);
    }

    /// Hands over work whose answer `then` takes, on the thread that writes.
    pub(super) fn start<T: Send + 'static>(
        &self,
        manner: Manner,
        run: impl FnMut(&mut Session) -> Result<T, Fault> + Send + 'static,
        then: impl FnOnce(Result<T, Fault>) + Send + 'static,
    ) {
        self.send(Message::Op(Box::new(Call { manner, run, value: None, then })));
    }

    /// Hands over work at once; the future waits for its answer.
    pub(super) fn call<T: Send + 'static>(
        &self,
        manner: Manner,
        run: impl FnMut(&mut Session) -> Result<T, Fault> + Send + 'static,
    ) -> impl Future<Output = Result<T, Fault>> + Send + 'static {
        let (sender, answer) = oneshot::channel();
        self.start(manner, run, |outcome| {
            // Whoever stopped waiting does not want to know.
            let _ = sender.send(outcome);
        });
        async move { answer.await.unwrap_or_else(|_| Err(Fault::new(FaultKind::Closed, ""))) }
    }
}

struct Call<T, R, A> {
    manner: Manner,
    run: R,
    value: Option<T>,
    then: A,
}

impl<T, R, A> Op for Call<T, R, A>
where
    T: Send,
    R: FnMut(&mut Session) -> Result<T, Fault> + Send,
    A: FnOnce(Result<T, Fault>) + Send,
{
    fn manner(&self) -> Manner {
        self.manner
    }

    fn apply(&mut self, session: &mut Session) -> Result<(), Fault> {
        self.value = Some((self.run)(session)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Fault>) {
        let Self { value, then, .. } = *self;
        then(outcome.map(|()| value.expect("an operation that was committed has run")));
    }
}

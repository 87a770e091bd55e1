//! The way to the thread that writes: hands over work, and brings its answer back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;

use crate::broker::sqlite::claim::Token;
use crate::broker::sqlite::completion::Completion;
use crate::broker::sqlite::fault::{Fault, FaultKind, Site};
use crate::broker::sqlite::inbox::Inbox;
use crate::broker::sqlite::op::{Manner, Message, Op};
use crate::broker::sqlite::session::Session;
use crate::error::Result;

/// The way to the thread that writes.
#[derive(Clone, Debug)]
pub(super) struct Port {
    inbox: Arc<Inbox>,
    running: Arc<AtomicUsize>,
    pub(super) site: Arc<Site>,
}

impl Port {
    pub(super) fn new(inbox: Arc<Inbox>, site: Arc<Site>) -> Self {
        Self { inbox, running: Arc::default(), site }
    }

    /// Returns how many jobs are handed out and not settled, in this process.
    pub(super) fn running(&self) -> &Arc<AtomicUsize> {
        &self.running
    }

    /// Hands over a message; a thread that has ended drops it, and with it the sender of its answer.
    pub(super) fn send(&self, message: Message) {
        // The queue needs no bound of its own: each caller waits for its answer, and settlements are as few as runs.
        self.inbox.send(message);
    }

    /// Hands over a job that is done; the future says whether its row was still ours.
    pub(super) fn complete(&self, token: Token) -> impl Future<Output = Result<bool, Fault>> + Send + use<> {
        let (answer, completed) = oneshot::channel();
        self.inbox.complete(Completion { token, answer }, self.running.load(Ordering::Relaxed) > 0);
        answered(completed)
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
        answered(answer)
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, Fault>>) -> Result<T, Fault> {
    answer.await.unwrap_or_else(|_| Err(Fault::new(FaultKind::Closed, "")))
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
        let Self { value, then, run, .. } = *self;
        // Before the answer: what the caller shared with it is the caller's to free.
        drop(run);
        then(outcome.map(|()| value.expect("an operation that was committed has run")));
    }
}

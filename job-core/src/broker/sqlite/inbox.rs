//! What the thread that writes is told, and when that is worth waking it.
//!
//! Waking a thread costs more than most operations: one that waits for company is woken once it is complete, not by each
//! of those who join.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::broker::sqlite::completion::{Completion, Completions};
use crate::broker::sqlite::op::{Manner, Message};

/// The way of messages to the thread that writes.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
    is_filled: AtomicBool,
}

/// How often the thread gives way to others before it sleeps: some 50 µs where nobody else wants the processor, which is
/// what a sleep and the end of it take.
const YIELDS_MAX: u32 = 100;

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    /// Jobs that are done; as many as ran at once, at the most.
    completions: Vec<Completion>,
    /// Of the messages.
    publishes: usize,
    /// One of the messages, or the end of all runs, lets nobody wait any longer.
    is_urgent: bool,
    /// One of the messages ends the thread.
    has_end: bool,
    /// What the thread sleeps for; `None` while it works.
    awaited: Option<Company>,
    is_closed: bool,
}

/// What a group of operations waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Any message.
    Any,
    /// So many more publishes.
    Publishes(usize),
    /// Anything but a completion: those wait together.
    Urgent,
}

impl Inbox {
    /// Adds a message; the thread's end drops it, and with it the sender of its answer.
    pub(super) fn send(&self, message: Message) {
        self.add(|state| state.push(message));
    }

    /// Adds a job that is done, `is_running` while others may come that could join.
    pub(super) fn complete(&self, completion: Completion, is_running: bool) {
        self.add(|state| {
            state.completions.push(completion);
            state.is_urgent |= !is_running;
        });
    }

    fn add(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        change(&mut state);
        self.is_filled.store(true, Ordering::Release);
        if state.awaited.is_some_and(|company| state.has(company)) {
            state.awaited = None;
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Stays awake for a moment; says whether a message came.
    pub(super) fn linger(&self) -> bool {
        (0..YIELDS_MAX).any(|_| {
            std::thread::yield_now();
            self.is_filled.load(Ordering::Acquire)
        })
    }

    /// Waits for company for at most `limit`, and moves all messages to the end of `to`.
    pub(super) fn receive(&self, company: Company, limit: Duration, to: &mut VecDeque<Message>) {
        let mut state = self.lock();
        if !state.has(company) {
            state.awaited = Some(company);
            let is_pending = |state: &mut State| state.awaited.is_some();
            let waited = self.changed.wait_timeout_while(state, limit, is_pending);
            state = waited.expect("no code panics while it holds the messages").0;
            state.awaited = None;
        }
        if !state.completions.is_empty() {
            // Before anything that was told later.
            let capacity = state.completions.len();
            let completions = std::mem::replace(&mut state.completions, Vec::with_capacity(capacity));
            to.push_back(Message::Op(Box::new(Completions::new(completions))));
        }
        to.append(&mut state.messages);
        self.is_filled.store(false, Ordering::Release);
        (state.publishes, state.is_urgent, state.has_end) = (0, false, false);
    }

    /// Drops what comes from now on, and what is there.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let left = (std::mem::take(&mut state.messages), std::mem::take(&mut state.completions));
        // Outside the lock: an answer may lead to a message.
        drop(state);
        drop(left);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the messages")
    }
}

impl State {
    fn push(&mut self, message: Message) {
        match &message {
            Message::Op(op) => {
                let manner = op.manner();
                self.publishes += usize::from(manner == Manner::Publish);
                self.is_urgent |= manner != Manner::Lazy;
            }
            Message::Nudge => {}
            Message::Stop(_) | Message::Kill => self.has_end = true,
        }
        self.messages.push_back(message);
    }

    fn has(&self, company: Company) -> bool {
        self.has_end
            || match company {
                Company::Any => !self.messages.is_empty() || !self.completions.is_empty(),
                Company::Publishes(count) => self.publishes >= count,
                Company::Urgent => self.is_urgent,
            }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    use crate::broker::sqlite::claim::Token;
    use crate::broker::sqlite::fault::Fault;
    use crate::broker::sqlite::op::Op;
    use crate::broker::sqlite::session::Session;

    struct Nothing(Manner);

    impl Op for Nothing {
        fn manner(&self) -> Manner {
            self.0
        }

        fn apply(&mut self, _: &mut Session) -> Result<(), Fault> {
            Ok(())
        }

        fn answer(self: Box<Self>, _: Result<(), Fault>) {}
    }

    /// Says which company messages of these manners are.
    fn company_of(manners: &[Manner]) -> [bool; 3] {
        let mut state = State::default();
        manners.iter().for_each(|manner| state.push(Message::Op(Box::new(Nothing(*manner)))));
        companies(&state)
    }

    fn companies(state: &State) -> [bool; 3] {
        [Company::Any, Company::Publishes(2), Company::Urgent].map(|company| state.has(company))
    }

    fn completion() -> Completion {
        Completion { token: Token { seq: 1, claim: 1 }, answer: oneshot::channel().0 }
    }

    #[test]
    fn each_wait_ends_with_the_company_that_it_is_for() {
        use Manner::{Publish, Settle, Swift};
        assert_eq!(company_of(&[]), [false, false, false]);
        assert_eq!(company_of(&[Swift]), [true, false, true]);
        assert_eq!(company_of(&[Publish]), [true, false, true]);
        assert_eq!(company_of(&[Publish, Settle, Publish]), [true, true, true]);
    }

    #[test]
    fn a_completion_is_urgent_once_nothing_runs() {
        let inbox = Inbox::default();
        inbox.complete(completion(), true);
        assert_eq!(companies(&inbox.lock()), [true, false, false]);
        inbox.complete(completion(), false);
        assert_eq!(companies(&inbox.lock()), [true, false, true]);
        let mut received = VecDeque::new();
        inbox.receive(Company::Any, Duration::ZERO, &mut received);
        assert_eq!(received.len(), 1, "both are one operation");
    }

    #[test]
    fn a_stop_ends_each_wait() {
        let mut state = State::default();
        state.push(Message::Kill);
        assert_eq!(companies(&state), [true, true, true]);
    }

    #[test]
    fn what_comes_wakes_the_one_who_waits_and_nothing_comes_after_the_end() {
        let inbox = Inbox::default();
        let mut received = VecDeque::new();
        std::thread::scope(|scope| {
            scope.spawn(|| inbox.send(Message::Nudge));
            inbox.receive(Company::Any, Duration::from_secs(60), &mut received);
        });
        inbox.close();
        inbox.send(Message::Nudge);
        inbox.receive(Company::Any, Duration::ZERO, &mut received);
        assert_eq!(received.len(), 1);
    }
}

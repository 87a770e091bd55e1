//! The one thread of a process that writes: gathers operations into groups, wakes those who wait, keeps house.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, after, never, tick};
use tokio::sync::oneshot;

use crate::broker::sqlite::committer::Committer;
use crate::broker::sqlite::keeper::Keeper;
use crate::broker::sqlite::op::{Manner, Message, Op, Port};
use crate::broker::sqlite::shared::Shared;
use crate::broker::sqlite::wake::Waker;

/// Operations of one commit at the most: some 10 ms of work, which the first of them waits for.
const GROUP_MAX: usize = 1000;

/// How long a completion waits for company.
const LAZY_MAX: Duration = Duration::from_millis(2);

/// How often the house is kept. A dead process's jobs come back after at most this, and the next look of a waiter.
const BEAT: Duration = Duration::from_secs(1);

/// The thread's state.
pub(super) struct Writer {
    pub(super) committer: Committer,
    pub(super) keeper: Keeper,
    pub(super) messages: Receiver<Message>,
    pub(super) port: Port,
    pub(super) shared: Arc<Shared>,
}

enum End {
    Stop(Option<oneshot::Sender<()>>),
    Kill,
}

impl Writer {
    /// Works until it is told to end, or nobody is left to tell it.
    pub(super) fn run(mut self) {
        let beat = tick(BEAT);
        let mut waker = Waker::new(Arc::clone(&self.shared));
        let mut group = Vec::new();
        loop {
            let end = self.gather(&mut group, &mut waker);
            self.committer.run(std::mem::take(&mut group));
            match end {
                None => {}
                Some(End::Stop(reply)) => return self.stop(reply),
                Some(End::Kill) => return,
            }
            if beat.try_recv().is_ok() {
                self.committer.hurry(|committer| {
                    committer.run_parked();
                    self.keeper.beat(committer, &self.shared);
                });
            }
            waker.look(&mut self.committer);
        }
    }

    /// Waits for operations and returns when a group is complete, or it is time to look around.
    fn gather(&mut self, group: &mut Vec<Box<dyn Op>>, waker: &mut Waker) -> Option<End> {
        let mut next = match self.messages.recv_timeout(waker.patience(&self.committer, BEAT)) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Some(End::Stop(None)),
        };
        let mut is_lazy = true;
        let mut company = never();
        while let Some(message) = next {
            match message {
                Message::Op(op) => {
                    is_lazy &= op.manner() == Manner::Lazy;
                    group.push(op);
                }
                Message::Nudge => waker.nudge(),
                Message::Stop(reply) => return Some(End::Stop(Some(reply))),
                Message::Kill => return Some(End::Kill),
            }
            if group.len() >= GROUP_MAX {
                return None;
            }
            if group.len() == 1 && is_lazy {
                company = after(LAZY_MAX);
            }
            next = self.messages.try_recv().ok();
            if next.is_none() && is_lazy && !group.is_empty() {
                next = self.await_company(&company);
            }
        }
        None
    }

    /// Waits for what could join a group that has time, until it has none; not at all when nothing runs that could end.
    fn await_company(&self, company: &Receiver<Instant>) -> Option<Message> {
        if self.port.running().load(Ordering::Relaxed) == 0 {
            return None;
        }
        crossbeam_channel::select! {
            recv(self.messages) -> message => message.ok(),
            recv(company) -> _ => None,
        }
    }

    /// Finishes what is under way, gives back what is left, and closes the file.
    fn stop(mut self, reply: Option<oneshot::Sender<()>>) {
        self.shared.consumers().iter().for_each(|held| held.close());
        // What the consumers gave back, and whatever was handed over before. It ends: a closed handle publishes nothing
        // more, and there are no more settlements than runs.
        loop {
            let ops: Vec<_> = self.messages.try_iter().filter_map(operation).take(GROUP_MAX).collect();
            if ops.is_empty() {
                break;
            }
            self.committer.run(ops);
        }
        self.committer.run_parked();
        self.committer.drop_parked();
        self.keeper.end(self.committer);
        self.shared.end();
        drop(self.messages);
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }
}

fn operation(message: Message) -> Option<Box<dyn Op>> {
    match message {
        Message::Op(op) => Some(op),
        Message::Nudge | Message::Kill => None,
        Message::Stop(reply) => {
            let _ = reply.send(());
            None
        }
    }
}

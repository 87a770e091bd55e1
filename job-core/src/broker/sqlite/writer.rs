//! The one thread of a process that writes: gathers operations into groups, wakes those who wait, keeps house.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, tick};
use tokio::sync::oneshot;

use crate::broker::sqlite::committer::Committer;
use crate::broker::sqlite::group::Group;
use crate::broker::sqlite::keeper::Keeper;
use crate::broker::sqlite::op::{Message, Op, Port};
use crate::broker::sqlite::shared::Shared;
use crate::broker::sqlite::wake::Waker;

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
        let mut group = Group::new();
        loop {
            let end = self.gather(&mut group, &mut waker);
            self.committer.run(group.take());
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
    fn gather(&mut self, group: &mut Group, waker: &mut Waker) -> Option<End> {
        let mut next = match self.messages.recv_timeout(waker.patience(&self.committer, BEAT)) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Some(End::Stop(None)),
        };
        while let Some(message) = next {
            match message {
                Message::Op(op) => group.push(op),
                Message::Nudge => waker.nudge(),
                Message::Stop(reply) => return Some(End::Stop(Some(reply))),
                Message::Kill => return Some(End::Kill),
            }
            if group.is_full() {
                return None;
            }
            next = self.messages.try_recv().ok().or_else(|| self.await_company(group));
        }
        None
    }

    /// Waits for what could join the group, while it has time.
    fn await_company(&self, group: &Group) -> Option<Message> {
        if !group.has_time(self.port.running().load(Ordering::Relaxed)) {
            return None;
        }
        crossbeam_channel::select! {
            recv(self.messages) -> message => message.ok(),
            recv(group.end) -> _ => None,
        }
    }

    /// Finishes what is under way, gives back what is left, and closes the file.
    fn stop(mut self, reply: Option<oneshot::Sender<()>>) {
        self.shared.consumers().iter().for_each(|held| held.close());
        // What the consumers gave back, and whatever was handed over before. It ends: a closed handle publishes nothing
        // more, and there are no more settlements than runs.
        let mut group = Group::new();
        while let Some(op) = self.messages.try_iter().find_map(operation) {
            group.push(op);
            if group.is_full() || self.messages.is_empty() {
                self.committer.run(group.take());
            }
        }
        self.committer.run(group.take());
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

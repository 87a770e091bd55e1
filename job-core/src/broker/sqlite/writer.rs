//! The one thread of a process that writes: gathers operations into groups, wakes those who wait, keeps house.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::tick;
use tokio::sync::oneshot;

use crate::broker::sqlite::committer::Committer;
use crate::broker::sqlite::group::Group;
use crate::broker::sqlite::inbox::{Company, Inbox};
use crate::broker::sqlite::keeper::Keeper;
use crate::broker::sqlite::op::{Message, Op};
use crate::broker::sqlite::port::Port;
use crate::broker::sqlite::shared::Shared;
use crate::broker::sqlite::wake::Waker;

/// How often the house is kept. A dead process's jobs come back after at most this, and the next look of a waiter.
const BEAT: Duration = Duration::from_secs(1);

/// The thread's state.
pub(super) struct Writer {
    committer: Committer,
    keeper: Keeper,
    inbox: Arc<Inbox>,
    port: Port,
    shared: Arc<Shared>,
    /// Received, and not yet part of a group.
    messages: VecDeque<Message>,
    linger: Linger,
}

/// When it is worth staying awake after a publish: while the same caller comes back at once, a sleep would cost it more
/// than the commit. Each vain attempt doubles the pause before the next one.
#[derive(Default)]
struct Linger {
    vain: u32,
    pause: u32,
}

enum End {
    Stop(oneshot::Sender<()>),
    Kill,
}

impl Writer {
    pub(super) fn new(
        committer: Committer,
        keeper: Keeper,
        inbox: Arc<Inbox>,
        port: Port,
        shared: Arc<Shared>,
    ) -> Self {
        Self { committer, keeper, inbox, port, shared, messages: VecDeque::new(), linger: Linger::default() }
    }

    /// Works until it is told to end.
    pub(super) fn run(mut self) {
        let beat = tick(BEAT);
        let mut waker = Waker::new(Arc::clone(&self.shared));
        let mut group = Group::new();
        loop {
            let end = self.gather(&mut group, &mut waker);
            let has_published = group.has_publishes();
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
            if has_published && self.messages.is_empty() {
                self.linger.stay(&self.inbox);
            }
        }
    }

    /// Waits for operations and returns when a group is complete, or it is time to look around.
    fn gather(&mut self, group: &mut Group, waker: &mut Waker) -> Option<End> {
        if self.messages.is_empty() {
            let patience = waker.patience(&self.committer, BEAT);
            self.inbox.receive(Company::Any, patience, &mut self.messages);
        }
        loop {
            if let Some(end) = self.sort(group, waker) {
                return Some(end);
            }
            let (company, limit) = group.company(self.port.running().load(Ordering::Relaxed))?;
            self.inbox.receive(company, limit, &mut self.messages);
        }
    }

    /// Puts what was received into the group, until that is full.
    fn sort(&mut self, group: &mut Group, waker: &mut Waker) -> Option<End> {
        while !group.is_full() {
            match self.messages.pop_front()? {
                Message::Op(op) => group.push(op),
                Message::Nudge => waker.nudge(),
                Message::Stop(reply) => return Some(End::Stop(reply)),
                Message::Kill => return Some(End::Kill),
            }
        }
        None
    }

    /// Finishes what is under way, gives back what is left, and closes the file.
    fn stop(mut self, reply: oneshot::Sender<()>) {
        self.shared.consumers().iter().for_each(|held| held.close());
        // What the consumers gave back, and whatever was handed over before. It ends: a closed handle publishes nothing
        // more, and there are no more settlements than runs.
        let mut group = Group::new();
        loop {
            if self.messages.is_empty() {
                self.inbox.receive(Company::Any, Duration::ZERO, &mut self.messages);
            }
            let Some(message) = self.messages.pop_front() else { break };
            if let Some(op) = operation(message) {
                group.push(op);
            }
            if group.is_full() || self.messages.is_empty() {
                self.committer.run(group.take());
            }
        }
        self.committer.run_parked();
        self.committer.drop_parked();
        self.keeper.end(self.committer);
        self.shared.end();
        self.inbox.close();
        let _ = reply.send(());
    }
}

impl Linger {
    /// The pause grows no further after so many vain attempts in a row.
    const VAIN_MAX: u32 = 8;

    fn stay(&mut self, inbox: &Inbox) {
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        self.vain = if inbox.linger() { 0 } else { (self.vain + 1).min(Self::VAIN_MAX) };
        self.pause = (1 << self.vain) - 1;
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

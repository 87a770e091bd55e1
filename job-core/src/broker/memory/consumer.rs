//! Deliveries from memory: waiting for them, handing them out, settling them.

use std::collections::VecDeque;
use std::future::{pending, ready};
use std::sync::Arc;

use tokio::sync::watch;

use crate::broker::{BoxFuture, Consumer, Delivery, Outcome, Settle};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::name::QueueName;

use crate::broker::memory::state::{Claimed, ProcessId, Token};
use crate::broker::memory::store::{Store, changed};

/// Takes from one queue. It claims ahead only the one message that makes it ready.
pub(super) struct MemoryConsumer {
    store: Arc<Store>,
    process: ProcessId,
    queue: QueueName,
    changes: watch::Receiver<()>,
    held: VecDeque<Claimed>,
}

/// What a look at the queue found.
enum Look {
    Ready,
    Closed,
    /// Nothing, until a change or until this instant.
    Empty(Option<Timestamp>),
}

struct MemorySettle {
    store: Arc<Store>,
    token: Token,
}

impl MemoryConsumer {
    pub(super) fn new(store: Arc<Store>, process: ProcessId, queue: QueueName) -> Self {
        let changes = store.changes();
        Self { store, process, queue, changes, held: VecDeque::new() }
    }

    /// Waits until a message is held; `false` when the process has closed.
    async fn hold_one(&mut self) -> bool {
        loop {
            // Seen before looking: a change after the look then ends the wait.
            self.changes.mark_unchanged();
            let due = match self.look() {
                Look::Ready => return true,
                Look::Closed => return false,
                Look::Empty(due) => due,
            };
            let clock = self.store.clock.clone();
            let sleep = async {
                match due {
                    Some(at) => clock.sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = changed(&mut self.changes) => {}
                () = sleep => {}
            }
        }
    }

    fn look(&mut self) -> Look {
        let mut state = self.store.lock();
        if !state.is_alive(self.process) {
            return Look::Closed;
        }
        if self.held.is_empty() {
            let now = self.store.clock.now();
            self.held.extend(state.claim_due(self.process, &self.queue, 1, now));
        }
        if !self.held.is_empty() {
            return Look::Ready;
        }
        Look::Empty(state.queues.get(&self.queue).and_then(|queue| queue.waiting().next()).map(|first| first.due()))
    }

    fn hand_out(&mut self, max: usize) -> Vec<Delivery> {
        let wanted = max.saturating_sub(self.held.len());
        let more = self.store.lock().claim_due(self.process, &self.queue, wanted, self.store.clock.now());
        self.held.extend(more);
        let count = max.min(self.held.len());
        self.held.drain(..count).map(|claimed| delivery(&self.store, &self.queue, claimed)).collect()
    }
}

impl Consumer for MemoryConsumer {
    fn ready(&mut self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async { Ok(self.hold_one().await) })
    }

    fn next_many(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(async move {
            let is_open = self.hold_one().await;
            // Nothing waits between claiming and handing out, so a cancelled call has lost nothing.
            Ok(if is_open { self.hand_out(max.max(1)) } else { Vec::new() })
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        drop(self);
        Box::pin(ready(()))
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        self.store.update(|state, _| self.held.drain(..).for_each(|claimed| state.release(claimed.token)));
    }
}

impl Settle for MemorySettle {
    fn settle(self: Box<Self>, outcome: Outcome) -> BoxFuture<'static, Result<()>> {
        // Recorded here and not in the future: a caller that never polls has settled all the same.
        let result = self.store.update(|state, now| state.settle(self.token, outcome, now));
        Box::pin(ready(result))
    }
}

/// Makes the delivery of a message that was claimed.
pub(super) fn delivery(store: &Arc<Store>, queue: &QueueName, claimed: Claimed) -> Delivery {
    Delivery {
        envelope: claimed.envelope,
        queue: queue.clone(),
        redeliveries: claimed.redeliveries,
        defect: None,
        settle: Box::new(MemorySettle { store: Arc::clone(store), token: claimed.token }),
    }
}

//! Waits until a queue is old enough for its node's death.
//!
//! A quorum queue of RabbitMQ 3.10.8 whose node is killed within a second of the queue's first declaration was seen to
//! come back without a leader, and without what it had confirmed; whoever consumes or publishes hangs for a minute at a
//! time. Nothing that AMQP tells shows how old a queue is, and several processes may come to a new one at once. So what is
//! confirmed counts as stored only once this process has known the queue for a while, and the connection lives still.

use std::time::Duration;

use crate::broker::amqp::declare::{Declarer, Thing};
use crate::broker::amqp::session::Session;

/// The age from which on a queue keeps what it has confirmed. Twice what was seen to be too young.
const YOUNG_MAX: Duration = Duration::from_secs(2);

impl Declarer {
    /// Waits until a thing that was [ensured](Self::ensure) is old enough for its node's death; `false` when the connection
    /// was lost before, and with it, maybe, what the thing had confirmed.
    pub(in crate::broker::amqp) async fn outgrown(&self, session: &Session, thing: &Thing) -> bool {
        let since = {
            let known = self.lock();
            if known.grown.contains(thing) {
                return true;
            }
            known.things.get(thing).copied().filter(|_| known.generation == session.generation())
        };
        let clock = session.clock();
        // One that was forgotten meanwhile begins anew.
        let since = since.unwrap_or_else(|| clock.monotonic());
        tokio::select! {
            () = clock.sleep(YOUNG_MAX.saturating_sub(clock.monotonic() - since)) => {}
            () = session.lost() => return false,
        }
        if session.is_alive() {
            self.lock().grown.insert(thing.clone());
        }
        session.is_alive()
    }
}

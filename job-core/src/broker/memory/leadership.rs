//! Leadership of roles in memory, and the ticks that only a leader fires.

use std::future::ready;
use std::sync::Arc;

use crate::broker::{BoxFuture, Fire, Leadership, Outgoing};
use crate::clock::Timestamp;
use crate::error::{Error, Result};

use crate::broker::memory::state::Token;
use crate::broker::memory::store::{Store, changed};

/// One process's leadership of a role.
pub(super) struct MemoryLeadership {
    pub(super) store: Arc<Store>,
    pub(super) role: String,
    pub(super) token: Token,
}

impl MemoryLeadership {
    fn is_held(&self) -> bool {
        self.store.lock().is_leader(&self.role, self.token)
    }
}

impl Leadership for MemoryLeadership {
    fn fire<'a>(&'a self, schedule: &'a str, tick: Timestamp, message: Outgoing) -> BoxFuture<'a, Result<Fire>> {
        Box::pin(ready(self.store.update(|state, now| {
            if state.is_leader(&self.role, self.token) {
                state.fire(schedule, tick, message, now)
            } else {
                Err(Error::lost(format!("the leadership of {:?} was lost", self.role)))
            }
        })))
    }

    fn latest<'a>(&'a self, schedule: &'a str) -> BoxFuture<'a, Result<Option<Timestamp>>> {
        Box::pin(ready(Ok(self.store.lock().latest(schedule))))
    }

    fn lost(&self) -> BoxFuture<'_, ()> {
        let mut changes = self.store.changes();
        Box::pin(async move {
            while self.is_held() {
                changed(&mut changes).await;
            }
        })
    }
}

impl Drop for MemoryLeadership {
    fn drop(&mut self) {
        self.store.update(|state, _| state.resign(&self.role, self.token));
    }
}

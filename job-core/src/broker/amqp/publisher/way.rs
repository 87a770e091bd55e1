//! A channel to publish on, opened anew when the one before cannot be used any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::broker::amqp::declare::{Declarer, Thing};
use crate::broker::amqp::lane::Lane;
use crate::broker::amqp::session::Session;
use crate::error::Result;

/// The way to a channel.
#[derive(Debug, Default)]
pub(super) struct Way {
    lane: Mutex<Option<Arc<Lane>>>,
    /// One opens a channel at a time.
    opening: tokio::sync::Mutex<()>,
}

impl Way {
    /// Returns the channel that can be published on, if there is one.
    pub(super) fn usable(&self) -> Option<Arc<Lane>> {
        self.lock().as_ref().filter(|lane| lane.is_usable()).cloned()
    }

    /// Opens a channel, unless somebody just did.
    ///
    /// # Errors
    /// When the connection is lost, or the exchanges of jobs differ from what they must be.
    pub(super) async fn open(&self, session: Arc<Session>, declarer: &Declarer) -> Result<Arc<Lane>> {
        let _opening = self.opening.lock().await;
        if let Some(lane) = self.usable() {
            return Ok(lane);
        }
        declarer.ensure(&session, &Thing::Base).await?;
        let lane = Arc::new(Lane::open(session).await?);
        *self.lock() = Some(Arc::clone(&lane));
        Ok(lane)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Lane>>> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

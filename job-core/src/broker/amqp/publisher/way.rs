//! A channel to publish on, opened anew when the one before cannot be used any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::broker::amqp::declare::{Declarer, Thing};
use crate::broker::amqp::link::Link;
use crate::broker::amqp::publisher::lane::Lane;
use crate::error::Result;

/// The way to a channel.
#[derive(Debug, Default)]
pub(super) struct Way {
    lane: Mutex<Option<Arc<Lane>>>,
    /// One opens a channel at a time.
    opening: tokio::sync::Mutex<()>,
}

impl Way {
    /// Returns a channel that can be published on.
    ///
    /// # Errors
    /// When there is no connection within `patience`.
    pub(super) async fn lane(&self, link: &Arc<Link>, declarer: &Declarer, patience: Duration) -> Result<Arc<Lane>> {
        if let Some(lane) = self.usable() {
            return Ok(lane);
        }
        let _opening = self.opening.lock().await;
        if let Some(lane) = self.usable() {
            return Ok(lane);
        }
        let session = link.session(patience).await?;
        declarer.ensure(&session, &Thing::Base).await?;
        let lane = Arc::new(Lane::open(session).await?);
        *self.lock() = Some(Arc::clone(&lane));
        Ok(lane)
    }

    fn usable(&self) -> Option<Arc<Lane>> {
        self.lock().as_ref().filter(|lane| lane.is_usable()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Lane>>> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

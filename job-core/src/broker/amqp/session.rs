//! One connection while it lives. Never comes back: after a loss there is another session, with another generation.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lapin::{Channel, Connection, ConnectionStatus, Event};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::broker::amqp::fault;
use crate::clock::Clock;
use crate::error::{Error, Result};

/// The longest wait for an answer to anything but a publish. RabbitMQ answers within milliseconds, and within seconds
/// while a cluster elects a leader.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(15);

/// How often a connection is looked at when nothing says that it is gone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One connection.
pub(super) struct Session {
    generation: u64,
    connection: Connection,
    clock: Clock,
    /// Why RabbitMQ takes no publishes from this connection at the moment.
    blocked: watch::Sender<Option<String>>,
    lost: CancellationToken,
}

/// Whether a connection still lives.
#[derive(Clone)]
pub(super) struct Pulse {
    lost: CancellationToken,
    status: ConnectionStatus,
}

impl Session {
    pub(super) fn new(generation: u64, connection: Connection, clock: Clock) -> Arc<Self> {
        let blocked = watch::Sender::new(None);
        Arc::new(Self { generation, connection, clock, blocked, lost: CancellationToken::new() })
    }

    /// Returns the number of this connection: what belongs to another number is not ours any more.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the clock by which it waits.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Says whether the connection is usable, as far as is known.
    pub(super) fn is_alive(&self) -> bool {
        !self.lost.is_cancelled() && self.connection.status().connected()
    }

    /// Returns whether it lives, for those who ask later.
    pub(super) fn pulse(&self) -> Pulse {
        Pulse { lost: self.lost.clone(), status: self.connection.status().clone() }
    }

    /// Ends when the connection is lost or closed.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Gives the connection up: what it was waiting for did not come, so nothing else can be expected of it.
    pub(super) fn condemn(&self) {
        self.lost.cancel();
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn channel(&self) -> Result<Channel> {
        self.answer("open a channel", self.connection.create_channel()).await
    }

    /// Waits for RabbitMQ's answer, for [`ANSWER_MAX`] at the most; `what` completes "cannot …".
    ///
    /// # Errors
    /// When it refuses, or does not answer: the connection is given up then.
    pub(super) async fn answer<T>(&self, what: &str, call: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        self.attempt(what, call).await?.map_err(|error| fault::error(what, &error))
    }

    /// As [`answer`](Self::answer), for those who look at a refusal themselves.
    ///
    /// # Errors
    /// When there is no answer, or the connection is lost.
    pub(super) async fn attempt<T>(
        &self,
        what: &str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<lapin::Result<T>> {
        let call = pin!(call);
        let answered = async {
            tokio::select! {
                biased;
                answer = call => Some(answer),
                () = self.lost() => None,
            }
        };
        match self.clock.timeout(ANSWER_MAX, answered).await {
            Some(Some(answer)) => Ok(answer),
            Some(None) => Err(Error::unavailable(format!("cannot {what}: the connection to RabbitMQ was lost"))),
            None => {
                // What is blocked answers nothing for as long as that lasts; anything else would be stuck for ever.
                if self.blocked().is_none() {
                    self.condemn();
                }
                Err(Error::unavailable(format!("cannot {what}: RabbitMQ did not answer within {ANSWER_MAX:?}")))
            }
        }
    }

    /// Returns why RabbitMQ takes no publishes from this connection at the moment, if it does not.
    pub(super) fn blocked(&self) -> Option<String> {
        // lapin's own flag is set before its event is handed on.
        if !self.connection.status().blocked() {
            return None;
        }
        let told = self.blocked.borrow().clone();
        Some(told.unwrap_or_else(|| "a resource alarm".to_owned()))
    }

    /// Ends when publishes may be sent, or the connection is lost.
    pub(super) async fn unblocked(&self) {
        let mut blocked = self.blocked.subscribe();
        loop {
            if self.blocked().is_none() || !self.is_alive() {
                return;
            }
            tokio::select! {
                _ = blocked.changed() => {}
                () = self.lost() => return,
                // The event may have come before the subscription.
                () = self.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Returns what happens to the connection; to be given to [`watch`](Self::watch) by whoever made it.
    pub(super) fn events(&self) -> impl Stream<Item = Event> + Send + 'static {
        self.connection.events_listener()
    }

    /// Ends when the connection is lost.
    pub(super) async fn watch(&self, events: impl Stream<Item = Event>) {
        let mut events = pin!(events.fuse());
        while self.is_alive() {
            tokio::select! {
                Some(event) = events.next() => self.note(event),
                () = self.lost() => {}
                () = self.clock.sleep(LOOK_EVERY) => {}
            }
        }
        self.lost.cancel();
        // Wakes those who wait to be unblocked.
        self.blocked.send_replace(None);
    }

    /// Says good-bye, as far as the other side still listens.
    pub(super) async fn close(&self) {
        let close = self.connection.close(200, "OK".into());
        // Whatever it answers, the connection is given up.
        let _ = self.clock.timeout(ANSWER_MAX, close).await;
        self.lost.cancel();
    }

    fn note(&self, event: Event) {
        match event {
            Event::ConnectionBlocked(reason) => {
                tracing::warn!(target: "job", %reason, "RabbitMQ takes no publishes from this process for now");
                self.blocked.send_replace(Some(reason));
            }
            Event::ConnectionUnblocked => {
                tracing::info!(target: "job", "RabbitMQ takes publishes again");
                self.blocked.send_replace(None);
            }
            // Errors of channels come this way too: whether the connection is lost is asked of itself.
            _ => {}
        }
    }
}

impl Pulse {
    pub(super) fn is_alive(&self) -> bool {
        !self.lost.is_cancelled() && self.status.connected()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("generation", &self.generation).finish_non_exhaustive()
    }
}

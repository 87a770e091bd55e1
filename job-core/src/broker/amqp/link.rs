//! Keeps one connection to RabbitMQ alive: connects, notices a loss, and connects again for ever.
//!
//! The driver's own recovery gives up after a few tries and revives channels half; here a loss ends the [`Session`], and
//! a new one begins. What publishes and what consumes have links of their own: a connection that RabbitMQ blocks, as it
//! takes no publishes, could not acknowledge either.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Connection, ConnectionProperties};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::broker::amqp::fault::{self, Fate};
use crate::broker::amqp::session::Session;
use crate::broker::amqp::url::AmqpUrl;
use crate::clock::Clock;
use crate::error::{Error, Result};

/// The longest wait for one address to take a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The pause after the first failure is a random part of this; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// The pause is never more: a worker is to be back within seconds of the broker.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a connection is for; operators see it in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Publishing, and nothing else.
    Publish,
    /// Consuming, and declaring: whatever must go on while publishes are blocked.
    Consume,
    /// The ledger, and an operator's looks at the queues.
    Admin,
    /// One leadership: its end frees the role.
    Lead,
    /// Asking queues whether they have a leader, which RabbitMQ may answer by ending the connection.
    Probe,
}

/// One connection that is made again whenever it is lost. Nothing is connected before somebody asks for a session.
pub(super) struct Link {
    purpose: Purpose,
    url: Arc<AmqpUrl>,
    handle: Handle,
    clock: Clock,
    state: watch::Sender<State>,
    is_begun: AtomicBool,
}

#[derive(Clone)]
enum State {
    /// There is no connection, and this is why.
    Down(Option<Arc<Trouble>>),
    Up(Arc<Session>),
    Closed,
}

/// Why the latest try to connect failed.
struct Trouble {
    address: String,
    cause: Cause,
}

enum Cause {
    Refused(lapin::Error),
    Silent,
}

impl Link {
    /// Makes a link; its tasks run on `handle`.
    pub(super) fn open(purpose: Purpose, url: Arc<AmqpUrl>, handle: Handle, clock: Clock) -> Arc<Self> {
        let state = watch::Sender::new(State::Down(None));
        Arc::new(Self { purpose, url, handle, clock, state, is_begun: AtomicBool::new(false) })
    }

    /// Makes another link to the same broker.
    pub(super) fn sibling(&self, purpose: Purpose) -> Arc<Self> {
        Self::open(purpose, Arc::clone(&self.url), self.handle.clone(), self.clock.clone())
    }

    /// Returns the connection that lives now, and waits for one at most for `patience`.
    ///
    /// # Errors
    /// [`is_denied`](Error::is_denied) as soon as RabbitMQ refuses the user or the virtual host, and
    /// [`is_unavailable`](Error::is_unavailable) when there is no connection in time, or the link was closed.
    pub(super) async fn session(self: &Arc<Self>, patience: Duration) -> Result<Arc<Session>> {
        self.begin();
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| match state {
            State::Down(trouble) => trouble.as_ref().is_some_and(|trouble| trouble.is_lasting()),
            State::Up(session) => session.is_alive(),
            State::Closed => true,
        });
        let settled = self.clock.timeout(patience, settled).await;
        // The sender is `self`: it cannot be gone while this waits.
        let state = settled.and_then(Result::ok).map(|state| state.clone());
        match state {
            Some(State::Up(session)) => Ok(session),
            Some(State::Closed) => Err(closed()),
            Some(State::Down(trouble)) => Err(self.error(trouble.as_deref(), patience)),
            None => {
                let state = self.state.borrow().clone();
                let trouble = if let State::Down(trouble) = state { trouble } else { None };
                Err(self.error(trouble.as_deref(), patience))
            }
        }
    }

    /// Closes the connection, and makes no other.
    pub(super) async fn close(&self) {
        if let State::Up(session) = self.state.send_replace(State::Closed) {
            session.close().await;
        }
    }

    /// Says whether the link was closed.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state.borrow(), State::Closed)
    }

    fn begin(self: &Arc<Self>) {
        if !self.is_begun.swap(true, Ordering::AcqRel) {
            let link = Arc::clone(self);
            self.handle.spawn(async move { link.supervise().await });
        }
    }

    async fn supervise(&self) {
        // Not all processes begin with the first address: they would all end up on one node of a cluster.
        let mut address = fastrand::usize(..self.url.addresses());
        let mut failures = 0;
        let mut generation = 0;
        while !self.is_closed() {
            match self.connect(address).await {
                Ok(connection) => {
                    generation += 1;
                    failures = 0;
                    self.keep(generation, connection).await;
                    if self.purpose == Purpose::Lead {
                        // A leader that lost its connection leads no more: another one would fire without a role.
                        self.tell(State::Closed);
                        return;
                    }
                }
                Err(trouble) => {
                    failures += 1;
                    tracing::debug!(target: "job", purpose = ?self.purpose, %trouble, "no connection to RabbitMQ");
                    self.tell(State::Down(Some(Arc::new(trouble))));
                }
            }
            address = (address + 1) % self.url.addresses();
            self.pause(failures).await;
        }
    }

    /// Offers a connection until it is lost.
    async fn keep(&self, generation: u64, connection: Connection) {
        let session = Session::new(generation, connection, self.clock.clone());
        let events = session.events();
        tracing::debug!(target: "job", purpose = ?self.purpose, generation, "connected to RabbitMQ");
        if !self.tell(State::Up(Arc::clone(&session))) {
            return session.close().await;
        }
        session.watch(events).await;
        if self.tell(State::Down(None)) {
            match self.purpose {
                // As it may be: that is an answer, too.
                Purpose::Probe => tracing::debug!(target: "job", "RabbitMQ ended the connection of a probe"),
                purpose => tracing::warn!(target: "job", ?purpose, "the connection to RabbitMQ was lost"),
            }
            // It may be half alive; whoever still holds the session would keep it.
            self.handle.spawn(async move { session.close().await });
        }
    }

    /// Notes what is, unless the link was closed.
    fn tell(&self, next: State) -> bool {
        self.state.send_if_modified(|state| {
            let is_open = !matches!(state, State::Closed);
            if is_open {
                *state = next;
            }
            is_open
        })
    }

    async fn connect(&self, address: usize) -> Result<Connection, Trouble> {
        let uri = self.url.uri(address);
        let label = format!("{}:{}", uri.authority.host, uri.authority.port);
        let properties = ConnectionProperties::default().with_connection_name(self.name().into());
        let cause = match self.clock.timeout(CONNECT_MAX, Connection::connect_uri(uri, properties)).await {
            Some(Ok(connection)) => return Ok(connection),
            Some(Err(error)) => Cause::Refused(error),
            None => Cause::Silent,
        };
        Err(Trouble { address: label, cause })
    }

    /// Returns what operators see in their list of connections.
    fn name(&self) -> String {
        let purpose = match self.purpose {
            Purpose::Publish => "publish",
            Purpose::Consume => "consume",
            Purpose::Admin => "admin",
            Purpose::Lead => "lead",
            Purpose::Probe => "probe",
        };
        let program = self.url.connection_name.as_deref().unwrap_or("job");
        format!("{program} {purpose} {}", std::process::id())
    }

    /// Waits a random part of a time that grows: a thousand workers must not come back in one instant.
    async fn pause(&self, failures: u32) {
        let most = PAUSE_FIRST.saturating_mul(1 << failures.min(8)).min(PAUSE_MAX);
        let mut state = self.state.subscribe();
        let closed = state.wait_for(|state| matches!(state, State::Closed));
        let _ = self.clock.timeout(most.mul_f64(fastrand::f64()), closed).await;
    }

    fn error(&self, trouble: Option<&Trouble>, patience: Duration) -> Error {
        match trouble {
            Some(Trouble { address, cause: Cause::Refused(error) }) => self.refusal(address, error),
            Some(Trouble { address, cause: Cause::Silent }) => Error::unavailable(format!(
                "cannot connect to RabbitMQ at {address}: it did not answer within {CONNECT_MAX:?}; {PLACE_HINT}"
            )),
            None => Error::unavailable(format!("cannot connect to RabbitMQ ({}) within {patience:?}", self.url)),
        }
    }
}

impl Link {
    /// Returns the error of a connection that was refused: what is wrong in the URL, and how it is put right.
    fn refusal(&self, address: &str, cause: &lapin::Error) -> Error {
        let AmqpUrl { user, vhost, .. } = &*self.url;
        let at = format!("cannot connect to RabbitMQ at {address}");
        let error = match fault::protocol(cause).map(AMQPError::kind) {
            Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => Error::denied(format!(
                "{at} as the user \"{user}\"; check the user and the password in the URL, in which special characters are \
                 percent-encoded"
            )),
            Some(AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)) => Error::denied(format!(
                "{at}: the user \"{user}\" has no virtual host \"{vhost}\" there; check the end of the URL (\"/\" in a name is \
                 \"%2F\"), or have it made with `rabbitmqctl add_vhost` and allowed with `rabbitmqctl set_permissions`"
            )),
            _ => Error::unavailable(format!("{at}; {PLACE_HINT}")),
        };
        error.caused_by(cause.clone())
    }
}

impl Trouble {
    fn is_lasting(&self) -> bool {
        matches!(&self.cause, Cause::Refused(error) if fault::fate(error) == Fate::Lasting)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.cause {
            Cause::Refused(error) => write!(f, "{}: {error}", self.address),
            Cause::Silent => write!(f, "{}: no answer", self.address),
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("purpose", &self.purpose).field("url", &self.url).finish_non_exhaustive()
    }
}

/// What to do about an address where no RabbitMQ answers.
const PLACE_HINT: &str = "check host and port in the URL, and that a RabbitMQ takes unencrypted AMQP there, as it does on \
                          port 5672 unless it was told otherwise";

/// Returns the error of a broker that was closed.
pub(super) fn closed() -> Error {
    Error::unavailable("the RabbitMQ broker was closed; connect again")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::broker::amqp::runtime::Runtime;

    const PATIENCE: Duration = Duration::from_secs(1);

    fn link(runtime: &Runtime, port: u16) -> Arc<Link> {
        let url = AmqpUrl::parse(&format!("amqp://someone:hunter2@127.0.0.1:{port}/shop")).unwrap();
        Link::open(Purpose::Admin, Arc::new(url), runtime.handle().clone(), Clock::system())
    }

    fn all_texts(error: &Error) -> String {
        format!("{error} {error:?}")
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_named_without_the_password() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let runtime = Runtime::start().unwrap();
        let error = link(&runtime, port).session(PATIENCE).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        assert_eq!(error.to_string(), format!("cannot connect to RabbitMQ at 127.0.0.1:{port}; {PLACE_HINT}"));
        assert!(all_texts(&error).contains("refused"), "{error:?}");
        assert!(!all_texts(&error).contains("hunter2"), "{error:?}");
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_costs_no_more_than_the_patience() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let runtime = Runtime::start().unwrap();
        let link = link(&runtime, listener.local_addr().unwrap().port());
        let error = link.session(PATIENCE).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        assert!(!all_texts(&error).contains("hunter2"), "{error:?}");
    }

    #[tokio::test]
    async fn a_closed_link_says_so_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let runtime = Runtime::start().unwrap();
        let link = link(&runtime, listener.local_addr().unwrap().port());
        let waiting = tokio::spawn({
            let link = Arc::clone(&link);
            async move { link.session(Duration::from_secs(60)).await.map(|_| ()) }
        });
        link.close().await;
        assert_eq!(waiting.await.unwrap().unwrap_err().to_string(), closed().to_string());
        assert!(link.session(PATIENCE).await.is_err());
    }
}

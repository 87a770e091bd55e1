//! How RabbitMQ is used: plain data, each field with its default.

use std::time::Duration;

/// Options of an [`AmqpBroker`](crate::broker::amqp::AmqpBroker).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmqpOptions {
    /// How long connecting waits for a RabbitMQ that cannot be reached. One that refuses is an error at once. Defaults to
    /// 10 s.
    pub connect_patience: Duration,
    /// How long a publish waits for a connection, for the end of an alarm, and for its confirm, all together, before it
    /// is rejected or unconfirmed. Defaults to 30 s.
    pub publish_patience: Duration,
    /// How long a slot of the delay wheel's finest level lasts. For tests, in a namespace of their own: processes that
    /// share a wheel must agree. Defaults to 1 s.
    #[doc(hidden)]
    pub slot_width: Duration,
    /// The age from which on a new queue keeps what it has confirmed, whatever becomes of its node. Less is for tests that
    /// kill no node. Defaults to 2 s, twice what was seen to be too young on 3.10.8.
    #[doc(hidden)]
    pub queue_youth: Duration,
    /// How long a consumer waits in vain until it looks whether something is ready all the same. Defaults to a minute.
    #[doc(hidden)]
    pub silence_max: Duration,
}

impl Default for AmqpOptions {
    fn default() -> Self {
        Self {
            connect_patience: Duration::from_secs(10),
            publish_patience: Duration::from_secs(30),
            slot_width: Duration::from_secs(1),
            queue_youth: Duration::from_secs(2),
            silence_max: Duration::from_secs(60),
        }
    }
}

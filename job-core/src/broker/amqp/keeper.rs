//! Keeps one consumer in channels: opens the next when one ends, when the window is to change, or when nothing comes
//! although something waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::amqp::channels::Channels;
use crate::broker::amqp::consumer::{AmqpConsumer, Source};
use crate::broker::amqp::declare::{Declarer, Thing};
use crate::broker::amqp::desk::{Desk, Nature};
use crate::broker::amqp::intake::{Consume, Intake, Life, Opened};
use crate::broker::amqp::link::Link;
use crate::broker::amqp::session::Session;
use crate::broker::amqp::watch;
use crate::clock::Clock;
use crate::error::{Error, Result};

/// How long one try to open a channel waits for a connection; there is always another try.
const TRY_MAX: Duration = Duration::from_secs(30);

/// The pause before the next channel, or another try for it; a random part of it.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Tries in a row that RabbitMQ may refuse. A queue that has no leader is "not found", too, for a moment.
const REFUSALS_MAX: u32 = 8;

/// A window that has changed stays for this long: each change costs a consumer on the broker.
const CHANGE_EVERY: Duration = Duration::from_secs(10);

/// Opens the channels of one consumer.
pub(super) struct Keeper {
    pub(super) link: Arc<Link>,
    pub(super) declarer: Arc<Declarer>,
    pub(super) desk: Arc<Desk>,
    /// The queue's name on the broker.
    pub(super) physical: String,
    /// How long it waits in vain until it looks whether something is ready all the same.
    pub(super) silence_max: Duration,
    pub(super) life: Life,
    /// Those of all consumers of the process.
    pub(super) channels: Channels,
    /// Tasks that end in order when the broker closes.
    pub(super) tasks: TaskTracker,
    pub(super) handle: Handle,
    pub(super) clock: Clock,
}

/// Why a channel is followed by another one.
enum Reason {
    Over,
    Width,
    Stuck,
    /// None follows.
    End,
}

impl Keeper {
    /// Opens the first channel, and begins to keep the consumer.
    ///
    /// # Errors
    /// When the queue cannot be consumed.
    pub(super) async fn begin(self) -> Result<AmqpConsumer> {
        let opened = self.open(TRY_MAX).await?;
        let (sources, arrivals) = mpsc::unbounded_channel();
        let left = CancellationToken::new();
        let consumer = AmqpConsumer {
            desk: Arc::clone(&self.desk),
            arrivals,
            sources: Vec::new(),
            peeked: None,
            left: left.clone(),
        };
        let (tasks, handle) = (self.tasks.clone(), self.handle.clone());
        tasks.spawn_on(self.keep(opened, sources, left), &handle);
        Ok(consumer)
    }

    async fn keep(self, first: Opened, sources: mpsc::UnboundedSender<Result<Source>>, left: CancellationToken) {
        let mut opened = first;
        loop {
            let intake = self.serve(opened, &sources);
            let reason = self.reason(&intake, &left).await;
            match reason {
                Reason::End => return,
                Reason::Width => {}
                Reason::Over => self.pause().await,
                Reason::Stuck => intake.end(),
            }
            opened = match self.open_again(&left).await {
                None => return,
                Some(Ok(opened)) => opened,
                Some(Err(error)) => {
                    intake.end();
                    // Whoever reads it consumes anew, or gives up.
                    let _ = sources.send(Err(error));
                    return;
                }
            };
            if matches!(reason, Reason::Width) && intake.stop().await.is_err() {
                intake.end();
            }
        }
    }

    /// Hands a channel to the reader, and begins to acknowledge on it.
    fn serve(&self, opened: Opened, sources: &mpsc::UnboundedSender<Result<Source>>) -> Arc<Intake> {
        let Opened { intake, stream, issuer, collector } = opened;
        self.desk.set_current(&intake);
        self.channels.add(&intake);
        self.tasks.spawn_on(Arc::clone(&intake).acknowledge(collector), &self.handle);
        let source = Source { intake: Arc::clone(&intake), stream, issuer };
        if sources.send(Ok(source)).is_err() {
            // Nobody reads any more.
            intake.end();
        }
        intake
    }

    async fn reason(&self, intake: &Intake, left: &CancellationToken) -> Reason {
        tokio::select! {
            biased;
            () = left.cancelled() => Reason::End,
            () = self.life.closing.cancelled() => Reason::End,
            () = intake.over() => Reason::Over,
            () = self.width(intake) => Reason::Width,
            () = watch::stuck(intake, &self.physical, self.silence_max, &self.clock) => Reason::Stuck,
        }
    }

    /// Ends when the consumer should hold another number of deliveries.
    async fn width(&self, intake: &Intake) {
        // Soon after the start: nothing is known before the first runs, and a consumer of short jobs grows once.
        loop {
            self.desk.changed.notified().await;
            if self.desk.prefetch() > intake.prefetch() {
                return;
            }
            self.clock.sleep(CHANGE_EVERY).await;
            if self.desk.prefetch() != intake.prefetch() {
                return;
            }
        }
    }

    /// Opens a channel, however long that takes; `None` when it is not needed any more.
    async fn open_again(&self, left: &CancellationToken) -> Option<Result<Opened>> {
        let mut refusals = 0;
        loop {
            let opened = tokio::select! {
                biased;
                () = left.cancelled() => return None,
                () = self.life.closing.cancelled() => return None,
                opened = self.open(TRY_MAX) => opened,
            };
            match opened {
                Err(error) if is_refusal(&error) => {
                    refusals += 1;
                    if refusals >= REFUSALS_MAX {
                        return Some(Err(error));
                    }
                }
                Err(error) => tracing::debug!(target: "job", queue = %self.desk.queue(), %error, "not consuming"),
                opened => return Some(opened),
            }
            self.pause().await;
        }
    }

    /// Waits a moment: what ends at once each time must not spin, nor all consumers come back together.
    async fn pause(&self) {
        self.clock.sleep(PAUSE_MAX.mul_f64(fastrand::f64())).await;
    }

    async fn open(&self, patience: Duration) -> Result<Opened> {
        let session = self.link.session(patience).await?;
        if self.desk.nature() == Nature::OfProcess {
            self.make_again(&session).await?;
        }
        let consume = Consume { physical: &self.physical, queue: self.desk.queue(), prefetch: self.desk.prefetch() };
        Intake::open(session, consume, &self.life, self.clock.clone()).await
    }
}

impl Keeper {
    /// Makes a queue of this process anew, which was gone with the connection before.
    async fn make_again(&self, session: &Session) -> Result<()> {
        let queue = self.desk.queue();
        let made = self.declarer.ensure(session, &Thing::Own(queue.clone())).await;
        made.map_err(|error| match error.is_invalid() {
            // RabbitMQ has not noticed the end of that connection yet.
            true => Error::unavailable(format!("the queue \"{queue}\" cannot be made again yet")).caused_by(error),
            false => error,
        })
    }
}

fn is_refusal(error: &Error) -> bool {
    error.is_invalid() || error.is_denied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::broker::amqp::scene::{broker_with, envelope, namespace, queue, within};
    use crate::broker::amqp::{AmqpOptions, node};
    use crate::broker::{Broker, Consumer, Outcome, Outgoing, Window};
    use crate::clock::Clock;
    use crate::topology::Topology;

    /// Has the broker do something with each consumer of a queue, and returns what it makes of that.
    fn of_consumers(physical: &str, what: &str) -> String {
        let eval = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup({{resource, <<\"/\">>, queue, <<\"{physical}\">>}}), \
             [{what} || C <- rabbit_amqqueue:consumers(Q)]."
        );
        node::ctl(&["eval", &eval]).trim().to_owned()
    }

    /// Waits until a queue has one consumer, with that window.
    async fn await_window(physical: &str, window: usize) {
        let read = async {
            while of_consumers(physical, "element(4, C)") != format!("[{window}]") {
                Clock::system().sleep(Duration::from_millis(50)).await;
            }
        };
        within("the window of the one consumer", read).await;
    }

    /// Takes until nothing comes, and settles nothing.
    async fn take_all(consumer: &mut dyn Consumer) -> usize {
        const CALM: Duration = Duration::from_secs(2);
        let mut held = within("next", consumer.next_many(100)).await.unwrap();
        while let Some(more) = Clock::system().timeout(CALM, consumer.next_many(100)).await {
            held.extend(more.unwrap());
        }
        held.len()
    }

    async fn check(window: Window, grown: usize) {
        let namespace = namespace();
        let physical = format!("{namespace}.mail");
        let broker = broker_with(&namespace, AmqpOptions::default()).await;
        let mail = queue("mail");
        within("declare", broker.declare(&Topology::default().queue(mail.clone()))).await.unwrap();
        let mut consumer = within("consume", broker.consume(&mail, window)).await.unwrap();
        let send = async |count: usize| {
            let messages = (0..count).map(|_| Outgoing::to_queue(mail.clone(), envelope("job"))).collect();
            assert!(within("publish", broker.publish(messages)).await.iter().all(Result::is_ok), "all are stored");
        };
        let mut left = 40;
        send(left).await;
        while left > 0 {
            for delivery in within("next", consumer.next_many(1)).await.unwrap() {
                within("settle", delivery.settle.settle(Outcome::Done { then: Vec::new() })).await.unwrap();
                left -= 1;
            }
        }
        await_window(&physical, grown).await;
        let connections = "[{connection, P}] = rabbit_channel:info(element(1, C), [connection]), exit(P, kill)";
        assert_eq!(of_consumers(&physical, &format!("begin {connections} end")), "[true]", "the connection is cut");
        send(3 * grown).await;
        assert_eq!(take_all(&mut *consumer).await, grown, "as many as before are held");
        await_window(&physical, grown).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_window_is_after_a_lost_connection_what_it_was() {
        check(Window::exact(3), 3).await;
        // Two slots, with ten deliveries each once the runs were seen to be short.
        check(Window::new(2), 20).await;
    }
}

//! Our own matching against RabbitMQ's: random patterns, keys and headers, bound and published for real on a node, and the
//! queues that get a copy compared with what the embedded brokers' matcher says.
//!
//! `JOB_MATCHING_EVENTS` sets how many events are compared (each with every binding of its round), `JOB_MATCHING_SEED` the
//! seed; a failure prints what is needed to see it again.

mod amqp_node;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use job_core::clock::Clock;
use job_core::topology::{HeadersMode, Pattern, Target};
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};

/// Events that a short run compares, of topics and of headers each.
const EVENTS_DEFAULT: usize = 2000;

/// Bindings that are there at once, one a queue.
const BINDINGS: usize = 40;

/// Events that are published to the same bindings.
const EVENTS_PER_ROUND: usize = 100;

/// A node that delivers nothing for this long has stopped.
const LIMIT: Duration = Duration::from_secs(30);

/// One event of a round.
struct Sent {
    target: Target,
    headers: BTreeMap<String, String>,
}

/// An exchange and queues of one test, which go with its connection.
struct Stage {
    connection: Connection,
    channel: Channel,
    exchange: String,
    queues: Vec<Queue>,
}

struct Queue {
    name: String,
    consumer: Consumer,
}

impl Stage {
    async fn set(kind: ExchangeKind) -> lapin::Result<Self> {
        let connection = Connection::connect(amqp_node::url(), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let exchange: String = std::iter::repeat_with(fastrand::alphanumeric).take(16).collect();
        let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(exchange.as_str().into(), kind, options, FieldTable::default()).await?;
        let queues = try_join_all((0..BINDINGS).map(|_| Queue::declare(&channel))).await?;
        // The exchange goes with its last binding, and rounds bind anew: this one stays.
        bind(&channel, &Queue::declare(&channel).await?.name, &exchange, "never published", FieldTable::default())
            .await?;
        Ok(Self { connection, channel, exchange, queues })
    }

    /// Binds one pattern a queue, publishes all events, and returns which queues got which of them.
    async fn play(&mut self, patterns: &[Pattern], events: &[Sent]) -> lapin::Result<Vec<BTreeSet<usize>>> {
        for (queue, pattern) in self.queues.iter().zip(patterns) {
            let (key, arguments) = rule(pattern);
            bind(&self.channel, &queue.name, &self.exchange, key, arguments).await?;
        }
        for (number, event) in events.iter().enumerate() {
            let key = if let Target::Topic(key) = &event.target { key } else { "" };
            let headers = table(event.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            self.publish(&self.exchange, key, number, headers).await?;
        }
        let mut heard = Vec::new();
        for index in 0..patterns.len() {
            // Behind all that was routed here, by the queue's own name.
            self.publish("", &self.queues[index].name, events.len(), FieldTable::default()).await?;
            heard.push(self.queues[index].read_until(events.len()).await);
        }
        for (queue, pattern) in self.queues.iter().zip(patterns) {
            let (key, arguments) = rule(pattern);
            let unbind = self.channel.queue_unbind(
                queue.name.as_str().into(),
                self.exchange.as_str().into(),
                key.into(),
                arguments,
            );
            unbind.await?;
        }
        Ok(heard)
    }

    async fn publish(&self, exchange: &str, key: &str, number: usize, headers: FieldTable) -> lapin::Result<()> {
        let body = number.to_string();
        let properties = BasicProperties::default().with_headers(headers);
        let options = BasicPublishOptions::default();
        self.channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties).await?.await?;
        Ok(())
    }
}

impl Queue {
    async fn declare(channel: &Channel) -> lapin::Result<Self> {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare("".into(), options, FieldTable::default()).await?;
        let name = declared.name().to_string();
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = channel.basic_consume(name.as_str().into(), "".into(), options, FieldTable::default()).await?;
        Ok(Self { name, consumer })
    }

    /// Reads up to a mark; a copy that comes twice is a failure of its own.
    async fn read_until(&mut self, mark: usize) -> BTreeSet<usize> {
        let mut heard = BTreeSet::new();
        loop {
            let next = Clock::system().timeout(LIMIT, self.consumer.next()).await.expect("the node delivers");
            let message = next.expect("the consumer is open").expect("a delivery");
            let number: usize = std::str::from_utf8(&message.data).expect("a number").parse().expect("a number");
            if number == mark {
                return heard;
            }
            assert!(heard.insert(number), "event {number} came twice");
        }
    }
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str, arguments: FieldTable) -> lapin::Result<()> {
    channel.queue_bind(queue.into(), exchange.into(), key.into(), QueueBindOptions::default(), arguments).await
}

fn rule(pattern: &Pattern) -> (&str, FieldTable) {
    match pattern {
        Pattern::Topic(key) => (key, FieldTable::default()),
        Pattern::Headers { mode, values } => {
            let mode = ("x-match", if *mode == HeadersMode::All { "all" } else { "any" });
            ("", table(values.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([mode])))
        }
        other => unreachable!("{other} is not compared"),
    }
}

fn table<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    table
}

/// Words and separators from a small alphabet, so that matches are frequent: empty words, too, and wildcards in keys.
fn dotted(rng: &mut Rng, words: &[&str], count_max: usize) -> String {
    let count = rng.usize(..=count_max);
    let chosen: Vec<&str> = (0..count).map(|_| *rng.choice(words).expect("some words")).collect();
    chosen.join(".")
}

fn topic_pattern(rng: &mut Rng) -> Pattern {
    loop {
        let key = dotted(rng, &["a", "b", "ab", "*", "*", "#", "", "ä", "a*"], 6);
        // Newer versions of RabbitMQ refuse more of them.
        if key.split('.').filter(|word| *word == "#").count() <= 2 {
            return Pattern::Topic(key);
        }
    }
}

fn topic_event(rng: &mut Rng) -> Sent {
    let key = dotted(rng, &["a", "b", "ab", "", "ä", "a*", "*", "#"], 6);
    Sent { target: Target::Topic(key), headers: BTreeMap::new() }
}

fn some_headers(rng: &mut Rng, count_max: usize) -> BTreeMap<String, String> {
    let names = ["format", "size", "ink", "x-tenant", "X-tenant", "", "ä"];
    let values = ["pdf", "PDF", "a4", "", "ä", "1"];
    let pick = |rng: &mut Rng, from: &[&str]| (*rng.choice(from).expect("some")).to_owned();
    (0..rng.usize(..=count_max)).map(|_| (pick(rng, &names), pick(rng, &values))).collect()
}

fn headers_pattern(rng: &mut Rng) -> Pattern {
    let mode = if rng.bool() { HeadersMode::All } else { HeadersMode::Any };
    Pattern::Headers { mode, values: some_headers(rng, 3) }
}

fn headers_event(rng: &mut Rng) -> Sent {
    Sent { target: Target::Headers, headers: some_headers(rng, 5) }
}

/// The control: a rule that a careless matcher would have, for which `#` is at least a word, and `all` is `any`.
fn spoilt(pattern: &Pattern) -> Pattern {
    match pattern {
        Pattern::Topic(key) => Pattern::Topic(key.replace('#', "*.#")),
        Pattern::Headers { values, .. } => Pattern::Headers { mode: HeadersMode::Any, values: values.clone() },
        other => other.clone(),
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")),
        Err(_) => default,
    }
}

/// Compares as many events as are wanted, and says how many copies there were: none would prove nothing.
async fn compare(kind: ExchangeKind, pattern: fn(&mut Rng) -> Pattern, event: fn(&mut Rng) -> Sent) {
    let seed = setting("JOB_MATCHING_SEED", 1);
    let mut rng = Rng::with_seed(seed);
    let mut left = setting("JOB_MATCHING_EVENTS", EVENTS_DEFAULT);
    let mut stage = Stage::set(kind).await.expect("a stage on the node");
    let (mut pairs, mut copies, mut careless) = (0, 0, 0);
    while left > 0 {
        let patterns: Vec<Pattern> = (0..BINDINGS).map(|_| pattern(&mut rng)).collect();
        let events: Vec<Sent> = (0..EVENTS_PER_ROUND.min(left)).map(|_| event(&mut rng)).collect();
        left -= events.len();
        let heard = stage.play(&patterns, &events).await.expect("the node plays the round");
        for (pattern, heard) in patterns.iter().zip(&heard) {
            for (number, Sent { target, headers }) in events.iter().enumerate() {
                let (ours, theirs) = (pattern.matches(target, headers), heard.contains(&number));
                careless += usize::from(spoilt(pattern).matches(target, headers) != theirs);
                assert_eq!(ours, theirs, "{pattern:?} on {target:?} with {headers:?}, seed {seed}: left is ours");
            }
            copies += heard.len();
        }
        pairs += patterns.len() * events.len();
    }
    stage.connection.close(200, "OK".into()).await.expect("an orderly end");
    println!("{pairs} pairs compared, {copies} of them matched, seed {seed}");
    assert!(careless > 0, "a matcher that is wrong would not be seen");
    assert!(copies * 50 > pairs && copies * 4 < pairs * 3, "{copies} of {pairs} matched, which shows little");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_match_as_on_rabbitmq() {
    compare(ExchangeKind::Topic, topic_pattern, topic_event).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_match_as_on_rabbitmq() {
    compare(ExchangeKind::Headers, headers_pattern, headers_event).await;
}

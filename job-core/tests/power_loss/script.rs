//! What the recorded program does: everything that the broker promises to keep, by several callers at once.
//!
//! Before each step it writes a mark of what it is about to do, and another one when the step was confirmed.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use job_core::broker::sqlite::{SqliteBroker, SqliteOptions};
use job_core::broker::{Broker, Delivery, Entry, Inspect, Outcome, Outgoing, Which, Window};
use job_core::clock::{Clock, Timestamp, later};
use job_core::envelope::{DeathReason, Envelope};
use job_core::name::{JobId, Kind, QueueName};
use job_core::topology::{Pattern, Target, Topology};

use crate::content::DATABASE;
use crate::promise::{ABSENT, begin, confirm, follow};
use crate::trace::MARKS;

const PUBLISHERS: u32 = 4;
const CONSUMERS: u32 = 2;

/// Rounds of each publisher in each of the two lives of the program.
const ROUNDS: u32 = 110;

/// Ticks and ledger entries of each life.
const TURNS: u32 = 60;

/// How long nothing arrives at the end of a life.
const QUIET: Duration = Duration::from_millis(300);

/// Runs the script in a directory: once with an orderly end, and once more up to an abrupt one.
pub(crate) async fn run(directory: &Path) {
    let marks = Arc::new(File::create(directory.join(MARKS)).expect("the marks can be written"));
    for life in 0..2 {
        let options = SqliteOptions { is_shared: false, ..SqliteOptions::default() };
        let broker = SqliteBroker::open(directory.join(DATABASE), options, Clock::system()).await.expect("it opens");
        let actor = Actor { broker: Arc::clone(&broker), marks: Arc::clone(&marks), life };
        actor.live().await;
        if life == 0 {
            broker.close().await.expect("the broker closes");
        }
    }
    // Without destructors: the last connection would fold the WAL, and much of what follows is about the WAL.
    std::process::exit(0);
}

/// Returns the bytes of a job, by its id.
pub(crate) fn payload(id: &str) -> Vec<u8> {
    let mut rng = Rng::with_seed(hash(id));
    // One in twenty needs pages of its own.
    let length = if rng.u8(0..20) == 0 { rng.usize(5_000..20_000) } else { rng.usize(50..1_000) };
    std::iter::repeat_with(|| rng.alphanumeric() as u8).take(length).collect()
}

fn hash(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[derive(Clone)]
struct Actor {
    broker: Arc<SqliteBroker>,
    marks: Arc<File>,
    life: u32,
}

impl Actor {
    async fn live(&self) {
        let topology = Topology::default().queue(queue("mail.0")).queue(queue("mail.1")).queue(queue("after"));
        let topology = topology.bind(queue("news.a"), Pattern::Fanout("news".into()));
        let topology = topology.bind(queue("news.b"), Pattern::Fanout("news".into()));
        self.broker.declare(&topology).await.expect("the queues are declared");
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..PUBLISHERS {
            let actor = self.clone();
            tasks.spawn(async move { actor.publish_all(number).await });
        }
        for number in 0..CONSUMERS {
            let actor = self.clone();
            tasks.spawn(async move { actor.consume(number).await });
        }
        let actor = self.clone();
        tasks.spawn(async move { actor.fire().await });
        let actor = self.clone();
        tasks.spawn(async move { actor.write_ledger().await });
        // A failed step would leave a record of less than it seems.
        while let Some(ended) = tasks.join_next().await {
            ended.expect("the script runs to its end");
        }
    }

    fn mark(&self, text: &str) {
        // Each at the start of the file: only the record reads them.
        self.marks.write_all_at(text.as_bytes(), 0).expect("the marks can be written");
    }

    fn id(&self, name: &str) -> JobId {
        let id = JobId::parse(&format!("{}-{name}", self.life)).expect("a valid id");
        // Both forms in which ids are stored.
        if hash(name).is_multiple_of(3) { id.derive("uuid") } else { id }
    }

    async fn publish_all(&self, number: u32) {
        for round in 0..ROUNDS {
            let id = self.id(&format!("{number}-{round}"));
            let mail = queue(&format!("mail.{}", round % CONSUMERS));
            match round % 10 {
                0 => self.publish(Target::Fanout("news".into()), "news.a#1+news.b#1", id).await,
                1 => self.delay(mail, id).await,
                2 => self.be_refused(id).await,
                3 => self.publish_many(&mail, number, round).await,
                4 => self.cancel(id).await,
                5 => self.purge(mail.dead()).await,
                _ => self.publish(Target::Queue(mail.clone()), &format!("{mail}#1"), id).await,
            }
        }
    }

    async fn publish(&self, target: Target, state: &str, id: JobId) {
        self.mark(&begin(&id, 1, state));
        self.send(vec![Outgoing::event(target, envelope(&id))]).await;
        self.mark(&confirm(&id, 1));
    }

    async fn delay(&self, mail: QueueName, id: JobId) {
        self.mark(&begin(&id, 1, &format!("{mail}#1")));
        let mut envelope = envelope(&id);
        envelope.not_before = Some(later(envelope.enqueued_at, Duration::from_secs(3600)));
        self.send(vec![Outgoing::to_queue(mail, envelope)]).await;
        self.mark(&confirm(&id, 1));
    }

    async fn publish_many(&self, mail: &QueueName, number: u32, round: u32) {
        let ids: Vec<JobId> = (0..3).map(|part| self.id(&format!("{number}-{round}-{part}"))).collect();
        let marks = ids.iter().map(|id| begin(id, 1, &format!("{mail}#1")));
        self.mark(&marks.collect::<String>());
        self.send(ids.iter().map(|id| Outgoing::to_queue(mail.clone(), envelope(id))).collect()).await;
        self.mark(&ids.iter().map(|id| confirm(id, 1)).collect::<String>());
    }

    /// Publishes what no broker takes: an event that is to be delayed.
    async fn be_refused(&self, id: JobId) {
        let mut envelope = envelope(&id);
        envelope.not_before = Some(envelope.enqueued_at);
        self.mark(&begin(&id, 1, ABSENT));
        let answers = self.broker.publish(vec![Outgoing::event(Target::Fanout("news".into()), envelope)]).await;
        assert!(answers[0].is_err(), "{answers:?}");
        self.mark(&confirm(&id, 1));
    }

    async fn send(&self, messages: Vec<Outgoing>) {
        for answer in self.broker.publish(messages).await {
            answer.expect("the message is stored");
        }
    }

    /// Publishes a job that nobody runs, and cancels it as an operator does.
    async fn cancel(&self, id: JobId) {
        self.publish(Target::Queue(queue("parked")), "parked#1", id.clone()).await;
        self.mark(&begin(&id, 2, ABSENT));
        self.remove(queue("parked"), Which::Id(id), 1).await;
    }

    /// Removes the oldest dead job.
    async fn purge(&self, dead: QueueName) {
        self.remove(dead, Which::First(1), 2).await;
    }

    async fn remove(&self, from: QueueName, which: Which, steps: u32) {
        for delivery in self.broker.take(&from, which).await.expect("the queue can be read") {
            let (id, step) = (delivery.envelope.id.clone(), delivery.envelope.attempt + steps);
            self.mark(&begin(&id, step, ABSENT));
            delivery.settle.settle(Outcome::Done { then: Vec::new() }).await.expect("the delivery is ours");
            self.mark(&confirm(&id, step));
        }
    }

    async fn consume(&self, number: u32) {
        let mail = queue(&format!("mail.{number}"));
        let mut consumer = self.broker.consume(&mail, Window::new(8)).await.expect("the queue can be consumed");
        let mut released = BTreeSet::new();
        while let Some(deliveries) = Clock::system().timeout(QUIET, consumer.next_many(8)).await {
            // Begun together, as a worker's runs end: each settlement alone would wait for company.
            let settled: Vec<_> = deliveries
                .expect("an open consumer delivers")
                .into_iter()
                .map(|delivery| {
                    let (outcome, confirmed) = self.decide(&delivery, &mut released);
                    (delivery.settle.settle(outcome), confirmed)
                })
                .collect();
            for (settled, confirmed) in settled {
                settled.await.expect("the delivery is ours");
                self.mark(&confirmed);
            }
        }
        consumer.close().await;
    }

    /// Chooses an outcome by the id, marks its begin, and returns the marks of its confirmation.
    fn decide(&self, delivery: &Delivery, released: &mut BTreeSet<JobId>) -> (Outcome, String) {
        let mut envelope = delivery.envelope.clone();
        let (id, attempt, mail) = (envelope.id.clone(), envelope.attempt, &delivery.queue);
        let step = attempt + 1;
        let now = Clock::system().now();
        match hash(&id.to_string()) % 10 {
            0..=2 => {
                let next = self.id(&format!("next-{id}"));
                self.mark(&begin(&id, step, ABSENT));
                self.mark(&(begin(&next, 1, "after#1") + &follow(&id, &next)));
                let then = vec![Outgoing::only(queue("after"), crate::script::envelope(&next))];
                (Outcome::Done { then }, confirm(&id, step) + &confirm(&next, 1))
            }
            3 | 4 if attempt < 3 => {
                self.mark(&begin(&id, step, &format!("{mail}#{step}")));
                envelope.attempt += 1;
                envelope.push_failure(now, "it failed");
                (Outcome::Later { at: now, envelope }, confirm(&id, step))
            }
            3..=5 => {
                self.mark(&begin(&id, step, &format!("{}#{attempt}", mail.dead())));
                envelope.declare_dead(now, DeathReason::Attempts, "it failed");
                (Outcome::Dead { envelope }, confirm(&id, step))
            }
            6 if released.insert(id.clone()) => (Outcome::Release, String::new()),
            _ => {
                // Never confirmed: the power may undo it.
                self.mark(&begin(&id, step, ABSENT));
                (Outcome::Done { then: Vec::new() }, String::new())
            }
        }
    }

    async fn fire(&self) {
        let leadership = self.broker.lead("scheduler").await.expect("it can be asked").expect("nobody else leads");
        for turn in 1..=TURNS {
            let tick = self.life * TURNS + turn;
            let id = self.id(&format!("tick-{tick}"));
            self.mark(&(begin("tick/hourly", tick, &format!("#{tick}")) + &begin(&id, 1, "after#1")));
            let at = Timestamp::from_timestamp(i64::from(tick), 0).expect("a small number of seconds");
            let message = Outgoing::only(queue("after"), envelope(&id));
            leadership.fire("hourly", at, message).await.expect("it is fired");
            self.mark(&(confirm("tick/hourly", tick) + &confirm(&id, 1)));
        }
    }

    async fn write_ledger(&self) {
        let ledger = self.broker.ledger();
        for turn in 1..=TURNS {
            let version = self.life * TURNS + turn;
            let key = format!("pause/{}", turn % 3);
            self.mark(&begin(&format!("ledger/{key}"), version, &format!("#{version}")));
            let value = serde_json::json!({ "turn": turn });
            let entry = Entry { key: key.clone(), version: u64::from(version), value };
            ledger.append(entry).await.expect("it is stored");
            self.mark(&confirm(&format!("ledger/{key}"), version));
        }
    }
}

fn queue(name: &str) -> QueueName {
    QueueName::parse(name).expect("a valid queue")
}

fn envelope(id: &JobId) -> Envelope {
    let kind = Kind::parse("greet").expect("a valid kind");
    Envelope::new(id.clone(), kind, payload(&id.to_string()), Clock::system().now())
}

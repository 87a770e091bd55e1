//! Cases of how long a queue is there: for ever, with its process, or until it is undeclared.

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::{Need, Process};
use crate::broker::contract::message::queue;
use crate::broker::contract::reader::settle;
use crate::broker::contract::wait::eventually;
use crate::broker::{Outcome, Outgoing, Window};
use crate::envelope::Envelope;
use crate::error::Result;
use crate::name::QueueName;
use crate::topology::{Pattern, Target, Topology};

fn own() -> QueueName {
    queue("cache.1")
}

fn bound(topology: Topology, name: QueueName) -> Topology {
    topology.bind(name, Pattern::Topic("a".into()))
}

/// A process with a queue of its own that is bound.
async fn open_bound(bench: &Bench) -> Process {
    let process = bench.open().await;
    process.declare(bound(Topology::default().process_queue(own()), own())).await;
    process
}

/// Publishes an event that somebody must hear.
async fn tell(process: &Process, envelope: &Envelope) -> Result<()> {
    let event = Outgoing::event(Target::Topic("a".into()), envelope.clone());
    process.publish(Outgoing { must_reach: true, ..event }).await.map(drop)
}

async fn check_unheard(process: &Process) {
    let error = tell(process, &process.envelope("unheard")).await.expect_err("nobody hears it");
    assert!(error.is_unheard(), "{error}");
}

async fn undeclare(process: &Process, name: &QueueName) {
    eventually("undeclare", process.broker.undeclare(name)).await.expect("it can be undeclared");
}

async fn check_refused(process: &Process, name: &QueueName) {
    let consumer = eventually("consume", process.broker.consume(name, Window::new(1))).await;
    let error = consumer.err().expect("it cannot be consumed");
    assert!(error.is_invalid(), "{error}");
}

pub(super) async fn a_queue_of_a_process_is_gone_when_it_closes(bench: Bench) {
    let (process, other) = (open_bound(&bench).await, bench.open().await);
    let event = process.envelope("event");
    tell(&other, &event).await.expect("the queue hears it");
    process.read(&own()).await.finish_exactly(&[&event]).await;
    tell(&other, &process.envelope("unread")).await.expect("the queue hears it");
    process.close().await;
    check_unheard(&other).await;
    check_refused(&other, &own()).await;

    let next = open_bound(&bench).await;
    next.read(&own()).await.nothing_else().await;
}

pub(super) async fn a_queue_of_a_process_is_gone_when_it_dies(bench: Bench) {
    let (process, other) = (open_bound(&bench).await, bench.open().await);
    let event = process.envelope("event");
    tell(&other, &event).await.expect("the queue hears it");
    let held = process.read(&own()).await.one().await;
    bench.kill(process).await;
    drop(held);
    let gone = async {
        while tell(&other, &other.envelope("event")).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    eventually("the end of a dead process's queue", gone).await;
    check_unheard(&other).await;
    check_refused(&other, &own()).await;
}

pub(super) async fn a_queue_of_a_process_is_nobody_else_s(bench: Bench) {
    let (process, other) = (open_bound(&bench).await, bench.open().await);
    check_refused(&other, &own()).await;
    let topology = Topology::default().process_queue(own());
    let error = eventually("declare", other.broker.declare(&topology)).await.expect_err("it is somebody else's");
    assert!(error.is_invalid(), "{error}");
    process.declare(topology).await;
    process.read(&own()).await.nothing_else().await;
}

pub(super) async fn what_a_queue_of_a_process_gives_back_comes_again(bench: Bench) {
    let process = open_bound(&bench).await;
    let event = process.envelope("event");
    tell(&process, &event).await.expect("the queue hears it");
    let mut reader = process.read(&own()).await;
    settle(reader.one().await, Outcome::Release).await;
    reader.finish_exactly(&[&event]).await;
}

pub(super) async fn nothing_of_a_queue_of_a_process_is_kept_beyond_its_run(bench: Bench) {
    let process = open_bound(&bench).await;
    let mut reader = process.read(&own()).await;
    for is_dead in [false, true] {
        let event = process.envelope("event");
        tell(&process, &event).await.expect("the queue hears it");
        let delivery = reader.one().await;
        let envelope = Envelope { attempt: 2, ..delivery.envelope.clone() };
        let at = process.now();
        settle(delivery, if is_dead { Outcome::Dead { envelope } } else { Outcome::Later { at, envelope } }).await;
        reader.nothing_else().await;
        check_refused(&process, &own().dead()).await;
    }
}

pub(super) async fn a_durable_queue_is_no_queue_of_a_process(bench: Bench) {
    let process = open_bound(&bench).await;
    process.declare(Topology::default().queue(queue("durable"))).await;
    for topology in [Topology::default().queue(own()), Topology::default().process_queue(queue("durable"))] {
        let error = eventually("declare", process.broker.declare(&topology)).await.expect_err("it differs");
        assert!(error.is_invalid(), "{error}");
    }
}

pub(super) async fn an_undeclared_queue_hears_nothing_and_keeps_what_it_has(bench: Bench) {
    let process = bench.open().await;
    let audit = queue("audit");
    process.declare(bound(Topology::default(), audit.clone())).await;
    let event = process.envelope("event");
    tell(&process, &event).await.expect("the queue hears it");
    undeclare(&process, &audit).await;
    undeclare(&process, &queue("unknown")).await;
    check_unheard(&process).await;
    check_refused(&process, &audit).await;

    process.declare(Topology::default().queue(audit.clone())).await;
    check_unheard(&process).await;
    process.read(&audit).await.finish_exactly(&[&event]).await;
}

pub(super) async fn an_undeclared_queue_of_a_process_is_gone(bench: Bench) {
    let process = open_bound(&bench).await;
    tell(&process, &process.envelope("event")).await.expect("the queue hears it");
    undeclare(&process, &own()).await;
    check_unheard(&process).await;
    check_refused(&process, &own()).await;
    process.declare(bound(Topology::default().process_queue(own()), own())).await;
    process.read(&own()).await.nothing_else().await;
}

pub(super) async fn bindings_come_and_go_in_the_sight_of_every_process(bench: Bench) {
    let (one, two) = (bench.open().await, bench.open().await);
    let (audit, mirror) = (queue("audit"), queue("mirror"));
    // Each publishes after each change, so that what it remembers from before must not count.
    for round in 0..3 {
        one.declare(bound(bound(Topology::default(), audit.clone()), mirror.clone())).await;
        let both = two.envelope("both");
        let stored = two.publish(Outgoing::event(Target::Topic("a".into()), both.clone())).await.expect("it is heard");
        bench.check_copies(stored, 2);
        undeclare(&one, if round % 2 == 0 { &mirror } else { &audit }).await;
        let single = two.envelope("single");
        let stored =
            two.publish(Outgoing::event(Target::Topic("a".into()), single.clone())).await.expect("it is heard");
        bench.check_copies(stored, 1);
        one.declare(Topology::default().queue(audit.clone()).queue(mirror.clone())).await;
        let (left, gone) = if round % 2 == 0 { (&audit, &mirror) } else { (&mirror, &audit) };
        one.read(left).await.finish_exactly(&[&both, &single]).await;
        one.read(gone).await.finish_exactly(&[&both]).await;
        undeclare(&one, left).await;
        check_unheard(&two).await;
    }
    assert!(bench.has(Need::Undeclare));
}

//! Cases of events: each bound queue gets one copy, and nobody else does.

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::Need;
use crate::broker::contract::message::{map, queue};
use crate::broker::contract::reader::{done, settle};
use crate::broker::{Outcome, Outgoing};
use crate::envelope::Envelope;
use crate::topology::{Binding, HeadersMode, Pattern, Queue, Target, Topology};

/// Declares the bindings, publishes one event, and checks which of the bound queues got it.
async fn check(bench: &Bench, bindings: &[(&str, Pattern)], target: Target, headers: &[(&str, &str)], heard: &[&str]) {
    let process = bench.open().await;
    let bind = |topology: Topology, (name, pattern): &(&str, Pattern)| topology.bind(queue(name), pattern.clone());
    let topology = bindings.iter().fold(Topology::default(), bind);
    process.declare(topology.clone()).await;
    let mut event = process.envelope("event");
    event.details.headers = map(headers);
    let message = Outgoing::event(target.clone(), event.clone());
    let stored = process.publish(message).await.expect("an event is taken");
    bench.check_copies(stored, u32::try_from(heard.len()).expect("a few queues"));
    for Queue { name, .. } in topology.queues {
        let expected = if heard.contains(&name.as_str()) { vec![&event] } else { Vec::new() };
        process.read(&name).await.finish_exactly(&expected).await;
    }
    process.close().await;
}

fn topic(pattern: &str) -> Pattern {
    Pattern::Topic(pattern.into())
}

pub(super) async fn a_topic_event_reaches_each_bound_queue_once(bench: Bench) {
    let bindings = [
        ("all", topic("#")),
        ("all", topic("order.#")),
        ("all", topic("order.*")),
        ("orders", topic("order.*")),
        ("created", topic("*.created")),
        ("deep", topic("order.*.*")),
        ("other", topic("invoice.*")),
        ("literal", topic("order")),
    ];
    let target = Target::Topic("order.created".into());
    check(&bench, &bindings, target, &[], &["all", "orders", "created"]).await;
}

pub(super) async fn a_topic_key_may_be_empty(bench: Bench) {
    let bindings = [("all", topic("#")), ("one", topic("*")), ("none", topic(""))];
    check(&bench, &bindings, Target::Topic(String::new()), &[], &["all", "none"]).await;
}

pub(super) async fn a_direct_event_reaches_equal_keys_only(bench: Bench) {
    let direct = |key: &str| Pattern::Direct(key.into());
    let bindings = [
        ("equal", direct("a.b")),
        ("also", direct("a.b")),
        ("also", direct("x")),
        ("star", direct("a.*")),
        ("hash", direct("#")),
        ("topic", topic("a.b")),
        ("fanout", Pattern::Fanout("a.b".into())),
    ];
    check(&bench, &bindings, Target::Direct("a.b".into()), &[], &["equal", "also"]).await;
}

pub(super) async fn a_headers_event_reaches_those_that_match(bench: Bench) {
    let headers = |mode, values| Pattern::Headers { mode, values: map(values) };
    let bindings = [
        ("all", headers(HeadersMode::All, &[("format", "pdf"), ("size", "a4")])),
        ("any", headers(HeadersMode::Any, &[("format", "pdf"), ("size", "a5")])),
        ("subset", headers(HeadersMode::All, &[("format", "pdf")])),
        ("more", headers(HeadersMode::All, &[("format", "pdf"), ("ink", "red")])),
        ("none", headers(HeadersMode::Any, &[("format", "png"), ("ink", "red")])),
        ("empty-all", headers(HeadersMode::All, &[])),
        ("empty-any", headers(HeadersMode::Any, &[])),
        ("topic", topic("#")),
    ];
    let event = [("format", "pdf"), ("size", "a4"), ("tenant", "x")];
    check(&bench, &bindings, Target::Headers, &event, &["all", "any", "subset", "empty-all"]).await;
}

pub(super) async fn a_fanout_event_reaches_all_of_its_name(bench: Bench) {
    let fanout = |name: &str| Pattern::Fanout(name.into());
    let bindings = [
        ("one", fanout("prices")),
        ("two", fanout("prices")),
        ("other", fanout("news")),
        ("direct", Pattern::Direct("prices".into())),
        ("topic", topic("#")),
    ];
    check(&bench, &bindings, Target::Fanout("prices".into()), &[], &["one", "two"]).await;
}

pub(super) async fn a_foreign_exchange_is_a_namespace_of_its_own(bench: Bench) {
    let (legacy, other) = (bench.own_exchange().await, bench.own_exchange().await);
    let bindings = [
        ("legacy", topic("order.*").at(legacy.clone())),
        ("all-of-legacy", topic("#").at(legacy.clone())),
        ("deeper", topic("order.*.*").at(legacy.clone())),
        ("other", topic("#").at(other)),
        ("ours", topic("#")),
    ];
    let target = Target::Topic("order.created".into());
    let foreign = target.clone().at(legacy);
    check(&bench, &bindings, foreign, &[], &["legacy", "all-of-legacy"]).await;
    check(&bench, &bindings, target, &[], &["ours"]).await;
}

pub(super) async fn an_event_that_must_reach_a_queue_is_refused_when_none_takes_it(bench: Bench) {
    let process = bench.open_mail().await;
    let target = Target::Topic("order.created".into());
    let strict = |payload| Outgoing { must_reach: true, ..Outgoing::event(target.clone(), process.envelope(payload)) };
    let error = process.publish(strict("unheard")).await.expect_err("nobody hears it");
    assert!(error.is_unheard() && error.is_rejected() && !error.is_unconfirmed(), "{error}");

    process.declare(Topology::default().bind(queue("audit"), topic("order.*"))).await;
    let heard = strict("heard");
    let stored = process.publish(heard.clone()).await.expect("one queue takes it");
    bench.check_copies(stored, 1);
    if bench.has(Need::Dedup) {
        let stored = process.publish(heard.clone()).await.expect("the queue holds it: it is heard");
        bench.check_copies(stored, 0);
    }
    process.read(&queue("audit")).await.finish_exactly(&[&heard.envelope]).await;
}

pub(super) async fn an_unheard_event_is_gone(bench: Bench) {
    let process = bench.open_mail().await;
    let target = Target::Topic("order.created".into());
    let early = Outgoing::event(target.clone(), process.envelope("early"));
    let stored = process.publish(early).await.expect("an event needs no subscriber");
    bench.check_copies(stored, 0);

    process.declare(Topology::default().bind(queue("audit"), topic("#"))).await;
    let heard = process.envelope("heard");
    process.publish(Outgoing::event(target, heard.clone())).await.expect("an event is taken");
    process.read(&queue("audit")).await.finish_exactly(&[&heard]).await;
}

pub(super) async fn a_message_to_a_queue_is_no_event(bench: Bench) {
    let process = bench.open_mail().await;
    process.declare(Topology::default().bind(queue("audit"), topic("#"))).await;
    process.declare(Topology::default().bind(queue("audit"), Pattern::Direct("mail".into()))).await;
    let sent = process.send_mail("hello").await;
    process.read_mail().await.finish_exactly(&[&sent]).await;
    process.read(&queue("audit")).await.nothing_else().await;
}

pub(super) async fn each_copy_lives_by_itself(bench: Bench) {
    let process = bench.open().await;
    let topology = ["one", "two"].iter().fold(Topology::default(), |t, name| t.bind(queue(name), topic("#")));
    process.declare(topology).await;
    let event = process.envelope("event");
    let target = Target::Topic("a".into());
    process.publish(Outgoing::event(target, event.clone())).await.expect("an event is taken");
    let mut one = process.read(&queue("one")).await;
    let delivery = one.one().await;
    let now = process.now();
    let retry = Envelope { attempt: 2, not_before: Some(now), ..event.clone() };
    settle(delivery, Outcome::Later { at: now, envelope: retry.clone() }).await;
    process.read(&queue("two")).await.finish_exactly(&[&event]).await;
    one.finish_exactly(&[&retry]).await;
}

pub(super) async fn a_binding_declared_twice_gives_one_copy(bench: Bench) {
    let topology = Topology::default().bind(queue("audit"), topic("a"));
    bench.open().await.declare(topology.clone()).await;
    let process = bench.open().await;
    process.declare(topology).await;
    let envelope = process.envelope("event");
    let message = Outgoing::event(Target::Topic("a".into()), envelope.clone());
    let stored = process.publish(message).await.expect("an event is taken");
    bench.check_copies(stored, 1);
    process.read(&queue("audit")).await.finish_exactly(&[&envelope]).await;
}

pub(super) async fn a_binding_is_never_removed_by_declaring_less(bench: Bench) {
    let process = bench.open().await;
    process.declare(Topology::default().bind(queue("audit"), topic("a"))).await;
    process.declare(Topology::default().queue(queue("audit"))).await;
    process.close().await;

    let another = bench.open().await;
    let bindings = vec![Binding { queue: queue("audit"), pattern: topic("b") }];
    another.declare(Topology { bindings, ..Topology::default().queue(queue("audit")) }).await;
    let mut reader = another.read(&queue("audit")).await;
    for key in ["a", "b"] {
        let envelope = another.envelope(key);
        let message = Outgoing::event(Target::Topic(key.into()), envelope.clone());
        another.publish(message).await.expect("an event is taken");
        let delivery = reader.one().await;
        assert_eq!(delivery.envelope, envelope);
        done(delivery).await;
    }
}

//! Cases of settling: each outcome does what it says, once, and only for the one who has the delivery.

use crate::broker::contract::bench::{Bench, mail, queue};
use crate::broker::contract::reader::settle;
use crate::broker::{Outcome, Outgoing};
use crate::envelope::DeathReason;
use crate::topology::Topology;

pub(super) async fn done_stores_its_followers(bench: Bench) {
    let process = bench.open_mail().await;
    process.declare(Topology::default().queue(queue("images"))).await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let (first, second) = (process.envelope("first"), process.envelope("second"));
    let then = vec![Outgoing::only(mail(), first.clone()), Outgoing::to_queue(queue("images"), second.clone())];
    settle(reader.one().await, Outcome::Done { then }).await;
    reader.finish_exactly(&[&first]).await;
    process.read(&queue("images")).await.finish_exactly(&[&second]).await;
}

pub(super) async fn dead_is_kept_with_reason_and_bytes(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("\u{0}not json").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let mut dead = delivery.envelope.clone();
    dead.push_failure(process.now(), "boom");
    dead.declare_dead(process.now(), DeathReason::Attempts, "boom");
    settle(delivery, Outcome::Dead { envelope: dead.clone() }).await;
    reader.nothing_else().await;
    process.read(&mail().dead()).await.finish_exactly(&[&dead]).await;
}

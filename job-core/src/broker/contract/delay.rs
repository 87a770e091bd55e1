//! Cases of time: nothing comes before it is due, and all comes once it is.

use crate::broker::Outcome;
use crate::broker::contract::bench::{Bench, mail};
use crate::broker::contract::reader::settle;
use crate::clock::later;
use crate::envelope::Envelope;

pub(super) async fn a_delayed_publish_is_invisible_until_due(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    let stored = process.send(&mail(), &sent).await;
    bench.check_copies(stored, 1);
    let mut reader = process.read_mail().await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn later_is_invisible_until_due(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let at = later(process.now(), bench.delay());
    let next = Envelope { attempt: 2, not_before: Some(at), ..delivery.envelope.clone() };
    settle(delivery, Outcome::Later { at, envelope: next.clone() }).await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&next]).await;
}

//! Cases of the ledger: all processes read the same settings, and hear of new ones.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::Process;
use crate::broker::contract::wait::{begin_to_wait, eventually, eventually_some};
use crate::broker::{Entry, Ledger};

fn entry(key: &str, version: u64, value: Value) -> Entry {
    Entry { key: key.into(), version, value }
}

async fn append(ledger: &dyn Ledger, entry: Entry) {
    eventually("append", ledger.append(entry)).await.expect("the entry is stored");
}

async fn read(ledger: &dyn Ledger) -> Vec<Entry> {
    eventually("read", ledger.read()).await.expect("the ledger can be read")
}

/// Waits until a process reads exactly this: another process's entries may take a moment.
async fn reads(process: &Process, expected: &[Entry]) {
    let ledger = process.broker.ledger();
    let what = format!("the ledger to read {expected:?}");
    eventually_some(&what, async || (read(&*ledger).await == expected).then_some(())).await;
}

async fn ledger(bench: &Bench) -> (Process, Arc<dyn Ledger>) {
    let process = bench.open().await;
    let ledger = process.broker.ledger();
    (process, ledger)
}

pub(super) async fn an_entry_is_read_by_every_process(bench: Bench) {
    let (process, ledger) = ledger(&bench).await;
    let another = bench.open().await;
    reads(&process, &[]).await;
    let value = json!({"since": "2026-01-01", "by": ["ä", null, 1.5, -1]});
    append(&*ledger, entry("pause/images", 1, value.clone())).await;
    assert_eq!(read(&*ledger).await, [entry("pause/images", 1, value.clone())], "one reads one's own entries");
    reads(&another, &[entry("pause/images", 1, value)]).await;
}

pub(super) async fn entries_are_read_in_the_order_of_their_keys(bench: Bench) {
    let (process, ledger) = ledger(&bench).await;
    for key in ["b", "a/2", "c", "a"] {
        append(&*ledger, entry(key, 1, json!(key))).await;
    }
    reads(&process, &["a", "a/2", "b", "c"].map(|key| entry(key, 1, json!(key)))).await;
}

pub(super) async fn the_highest_version_of_a_key_wins(bench: Bench) {
    let (process, ledger) = ledger(&bench).await;
    for version in [3, 10, 9, 1] {
        append(&*ledger, entry("a", version, json!(version))).await;
    }
    append(&*ledger, entry("b", 2, json!("b"))).await;
    reads(&process, &[entry("a", 10, json!(10)), entry("b", 2, json!("b"))]).await;
}

pub(super) async fn versions_are_as_large_as_time_in_nanoseconds(bench: Bench) {
    let (process, ledger) = ledger(&bench).await;
    let version = u64::try_from(i64::MAX).expect("it is positive");
    append(&*ledger, entry("a", version - 1, json!("old"))).await;
    append(&*ledger, entry("a", version, json!("new"))).await;
    reads(&process, &[entry("a", version, json!("new"))]).await;
}

pub(super) async fn an_equal_version_changes_nothing(bench: Bench) {
    let (process, ledger) = ledger(&bench).await;
    append(&*ledger, entry("a", 1, json!("first"))).await;
    append(&*ledger, entry("a", 1, json!("second"))).await;
    append(&*ledger, entry("a", 1, Value::Null)).await;
    reads(&process, &[entry("a", 1, json!("first"))]).await;
}

pub(super) async fn null_removes_a_key(bench: Bench) {
    let (process, ledger) = ledger(&bench).await;
    append(&*ledger, entry("a", 1, json!(true))).await;
    append(&*ledger, entry("b", 1, json!(true))).await;
    append(&*ledger, entry("a", 3, Value::Null)).await;
    reads(&process, &[entry("b", 1, json!(true))]).await;
    // An older entry that comes late does not bring it back; a newer one does.
    append(&*ledger, entry("a", 2, json!("late"))).await;
    reads(&process, &[entry("b", 1, json!(true))]).await;
    append(&*ledger, entry("a", 4, json!("new"))).await;
    reads(&process, &[entry("a", 4, json!("new")), entry("b", 1, json!(true))]).await;
}

pub(super) async fn a_change_wakes_every_process(bench: Bench) {
    let (process, ledger) = ledger(&bench).await;
    let another = bench.open().await;
    let (own, far) = (process.broker.ledger(), another.broker.ledger());
    assert_eq!((read(&*own).await, read(&*far).await), (Vec::new(), Vec::new()));
    let (mut own_changed, mut far_changed) = (own.changed(), far.changed());
    begin_to_wait("changed of this process", &mut own_changed).await;
    begin_to_wait("changed of another process", &mut far_changed).await;
    append(&*ledger, entry("a", 1, json!(true))).await;
    eventually("changed of this process", own_changed).await.expect("the ledger can be watched");
    eventually("changed of another process", far_changed).await.expect("the ledger can be watched");
    assert_eq!(read(&*far).await, [entry("a", 1, json!(true))], "what woke can be read");
}

pub(super) async fn a_change_between_reading_and_waiting_is_not_missed(bench: Bench) {
    let (_process, ledger) = ledger(&bench).await;
    let another = bench.open().await;
    let far = another.broker.ledger();
    read(&*far).await;
    append(&*ledger, entry("a", 1, json!(true))).await;
    eventually("changed", far.changed()).await.expect("the ledger can be watched");
    // Waiting is no reading.
    eventually("changed again", far.changed()).await.expect("the ledger can be watched");
    reads(&another, &[entry("a", 1, json!(true))]).await;
}

pub(super) async fn what_was_read_is_no_change(bench: Bench) {
    let (process, ledger) = ledger(&bench).await;
    let another = bench.open().await;
    append(&*ledger, entry("a", 1, json!(1))).await;
    reads(&another, &[entry("a", 1, json!(1))]).await;
    let far = another.broker.ledger();
    eventually_some("the entry", async || (!read(&*far).await.is_empty()).then_some(())).await;
    let mut changed = far.changed();
    begin_to_wait("changed of one that has read all", &mut changed).await;
    append(&*process.broker.ledger(), entry("a", 2, json!(2))).await;
    eventually("changed", changed).await.expect("the ledger can be watched");
}

pub(super) async fn handles_of_one_process_read_by_themselves(bench: Bench) {
    let (process, one) = ledger(&bench).await;
    let two = process.broker.ledger();
    read(&*one).await;
    read(&*two).await;
    append(&*one, entry("a", 1, json!(true))).await;
    read(&*one).await;
    eventually("changed of the one that has not read", two.changed()).await.expect("the ledger can be watched");
}

pub(super) async fn the_ledger_outlives_every_process(bench: Bench) {
    let (process, ledger) = ledger(&bench).await;
    append(&*ledger, entry("a", 1, json!(1))).await;
    append(&*ledger, entry("b", 1, json!(1))).await;
    append(&*ledger, entry("b", 2, Value::Null)).await;
    drop(ledger);
    process.close().await;
    let process = bench.open().await;
    append(&*process.broker.ledger(), entry("b", 1, json!("late"))).await;
    reads(&process, &[entry("a", 1, json!(1))]).await;
}

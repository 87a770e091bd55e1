//! Cases of leadership: one leader per role, and each tick of a schedule at most once.

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::Process;
use crate::broker::contract::message::mail;
use crate::broker::contract::wait::{begin_to_wait, eventually, eventually_some};
use crate::broker::{Fire, Leadership, Outgoing};
use crate::clock::Timestamp;
use crate::envelope::Envelope;
use crate::error::Result;
use crate::topology::{ROUTING_KEY_BYTES_MAX, Target};

const ROLE: &str = "schedules/shop";

async fn try_lead(process: &Process, role: &str) -> Option<Box<dyn Leadership>> {
    eventually("lead", process.broker.lead(role)).await.expect("the broker can be asked")
}

async fn lead(process: &Process) -> Box<dyn Leadership> {
    eventually_some("leadership", async || try_lead(process, ROLE).await).await
}

async fn fire(leader: &dyn Leadership, schedule: &str, tick: Timestamp, envelope: &Envelope) -> Result<Fire> {
    let message = Outgoing::to_queue(mail(), envelope.clone());
    eventually("fire", leader.fire(schedule, tick, message)).await
}

fn tick(minute: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_268_800 + minute * 60, 0).expect("an instant in 2026")
}

pub(super) async fn a_role_has_one_leader(bench: Bench) {
    let (process, another) = (bench.open().await, bench.open().await);
    let leader = lead(&process).await;
    assert!(try_lead(&another, ROLE).await.is_none(), "a second process leads");
    assert!(try_lead(&process, ROLE).await.is_none(), "the same process leads twice");
    bench.pass(bench.delay()).await;
    assert!(try_lead(&another, ROLE).await.is_none(), "a second process leads after a while");
    let mut lost = leader.lost();
    begin_to_wait("lost", &mut lost).await;
}

pub(super) async fn roles_are_led_one_by_one(bench: Bench) {
    let (process, another) = (bench.open().await, bench.open().await);
    let _one = lead(&process).await;
    let other = eventually_some("another role", async || try_lead(&another, "schedules/other").await).await;
    drop(other);
    assert!(try_lead(&another, ROLE).await.is_none(), "giving up one role frees another");
}

pub(super) async fn a_role_that_was_given_up_is_free(bench: Bench) {
    let (process, another) = (bench.open().await, bench.open().await);
    drop(lead(&process).await);
    let leader = lead(&another).await;
    assert!(try_lead(&process, ROLE).await.is_none(), "two lead");
    drop(leader);
    drop(lead(&process).await);
}

pub(super) async fn a_closed_process_gives_up_its_roles(bench: Bench) {
    let (process, another) = (bench.open().await, bench.open().await);
    let leader = lead(&process).await;
    process.close().await;
    eventually("lost", leader.lost()).await;
    lead(&another).await;
}

pub(super) async fn a_dead_leader_is_followed(bench: Bench) {
    let (process, another) = (bench.open_mail().await, bench.open_mail().await);
    let deposed = lead(&process).await;
    bench.kill(process).await;
    let leader = lead(&another).await;
    let (late, sent) = (another.envelope("late"), another.envelope("tick"));
    let fired = fire(&*deposed, "nightly", tick(0), &late).await;
    assert!(fired.is_err(), "a leader that was deposed fires: {fired:?}");
    // Nor does its end take the role away from the next.
    drop(deposed);
    assert_eq!(fire(&*leader, "nightly", tick(0), &sent).await.expect("the leader fires"), Fire::Fired);
    another.read_mail().await.finish_exactly(&[&sent]).await;
}

pub(super) async fn a_tick_fires_once(bench: Bench) {
    let process = bench.open_mail().await;
    let leader = lead(&process).await;
    let sent = process.envelope("tick");
    assert_eq!(fire(&*leader, "nightly", tick(0), &sent).await.expect("the leader fires"), Fire::Fired);
    let again = fire(&*leader, "nightly", tick(0), &process.envelope("again")).await;
    assert_eq!(again.expect("the leader is answered"), Fire::Stale);
    let mut reader = process.read_mail().await;
    reader.finish_exactly(&[&sent]).await;
    // Neither does a tick come back when its job is done.
    let again = fire(&*leader, "nightly", tick(0), &sent).await;
    assert_eq!(again.expect("the leader is answered"), Fire::Stale);
    reader.nothing_else().await;
}

pub(super) async fn a_successor_is_told_which_tick_was_fired_last(bench: Bench) {
    let (process, another) = (bench.open_mail().await, bench.open_mail().await);
    let leader = lead(&process).await;
    let latest = async |leader: &dyn Leadership, schedule: &str| {
        eventually("latest", leader.latest(schedule)).await.expect("the leader is answered")
    };
    assert_eq!(latest(&*leader, "nightly").await, None);
    for minute in [5, 6] {
        fire(&*leader, "nightly", tick(minute), &process.envelope("tick")).await.expect("the leader fires");
    }
    assert_eq!(latest(&*leader, "nightly").await, Some(tick(6)));
    drop(leader);
    let leader = lead(&another).await;
    assert_eq!(latest(&*leader, "nightly").await, Some(tick(6)));
    assert_eq!(latest(&*leader, "hourly").await, None);
}

pub(super) async fn an_earlier_tick_is_stale(bench: Bench) {
    let process = bench.open_mail().await;
    let leader = lead(&process).await;
    let sent = [process.envelope("5"), process.envelope("6")];
    let answers = [
        fire(&*leader, "nightly", tick(5), &sent[0]).await,
        fire(&*leader, "nightly", tick(4), &process.envelope("4")).await,
        fire(&*leader, "nightly", tick(6), &sent[1]).await,
        fire(&*leader, "nightly", tick(5), &process.envelope("5 again")).await,
    ];
    let answers = answers.map(|answer| answer.expect("the leader is answered"));
    assert_eq!(answers, [Fire::Fired, Fire::Stale, Fire::Fired, Fire::Stale]);
    process.read_mail().await.finish_exactly(&[&sent[0], &sent[1]]).await;
}

pub(super) async fn schedules_tick_one_by_one(bench: Bench) {
    let process = bench.open_mail().await;
    let leader = lead(&process).await;
    let sent = [process.envelope("nightly"), process.envelope("hourly")];
    assert_eq!(fire(&*leader, "nightly", tick(5), &sent[0]).await.expect("the leader fires"), Fire::Fired);
    assert_eq!(fire(&*leader, "hourly", tick(4), &sent[1]).await.expect("the leader fires"), Fire::Fired);
    process.read_mail().await.finish_exactly(&[&sent[0], &sent[1]]).await;
}

pub(super) async fn a_late_fire_of_a_finished_tick_is_stale(bench: Bench) {
    let (process, another) = (bench.open_mail().await, bench.open_mail().await);
    let first = lead(&process).await;
    let sent = process.envelope("tick");
    assert_eq!(fire(&*first, "nightly", tick(5), &sent).await.expect("the leader fires"), Fire::Fired);
    let mut reader = another.read_mail().await;
    reader.finish_exactly(&[&sent]).await;
    bench.kill(process).await;
    let second = lead(&another).await;
    for minute in [5, 4] {
        let late = fire(&*second, "nightly", tick(minute), &sent).await;
        assert_eq!(late.expect("the leader is answered"), Fire::Stale);
    }
    reader.nothing_else().await;
}

pub(super) async fn a_bad_message_uses_up_no_tick(bench: Bench) {
    let process = bench.open_mail().await;
    let leader = lead(&process).await;
    let target = Target::Topic("a".repeat(ROUTING_KEY_BYTES_MAX + 1));
    let bad = Outgoing::event(target, process.envelope("bad"));
    let fired = eventually("fire", leader.fire("nightly", tick(0), bad)).await;
    assert!(fired.as_ref().is_err_and(|error| error.is_invalid()), "{fired:?}");
    let sent = process.envelope("good");
    assert_eq!(fire(&*leader, "nightly", tick(0), &sent).await.expect("the leader fires"), Fire::Fired);
    process.read_mail().await.finish_exactly(&[&sent]).await;
}

//! Cases of the operator's view: it counts, shows and takes what is there, and disturbs nothing.

use std::time::Duration;

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::Process;
use crate::broker::contract::message::{mail, queue};
use crate::broker::contract::reader::{done, settle};
use crate::broker::contract::wait::eventually;
use crate::broker::{Delivery, Found, Inspect, JobState, Outcome, Page, QueueStats, Which};
use crate::envelope::{DeathReason, Envelope};
use crate::name::{JobId, QueueName};
use crate::topology::Topology;

const EVERYTHING: Page = Page { offset: 0, limit: 1000 };

fn inspect(process: &Process) -> &dyn Inspect {
    process.broker.inspect().expect("a broker that can count, cancel or find can be inspected")
}

async fn peek(process: &Process, queue: &QueueName, page: Page) -> Vec<Envelope> {
    eventually("peek", inspect(process).peek(queue, page)).await.expect("the queue can be browsed")
}

async fn take(process: &Process, queue: &QueueName, which: Which) -> Vec<Delivery> {
    eventually("take", inspect(process).take(queue, which)).await.expect("messages can be taken")
}

async fn find(process: &Process, id: &JobId) -> Option<Found> {
    eventually("find", inspect(process).find(id)).await.expect("a job can be looked up")
}

async fn stats(process: &Process, name: &QueueName) -> QueueStats {
    let queues = eventually("queues", inspect(process).queues()).await.expect("the queues can be told");
    let found = queues.iter().find(|stats| stats.name == *name).cloned();
    found.unwrap_or_else(|| panic!("{name} is missing among {queues:?}"))
}

fn counts(stats: &QueueStats) -> [Option<u64>; 3] {
    [stats.ready, stats.delayed, stats.running]
}

/// Takes one message by way of a consumer, which is closed, so that nothing is claimed ahead.
async fn run_one(process: &Process) -> Delivery {
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    reader.close().await;
    delivery
}

pub(super) async fn queues_are_listed_by_name_with_their_dead(bench: Bench) {
    let process = bench.open_mail().await;
    process.declare(Topology::default().queue(queue("audit"))).await;
    let queues = eventually("queues", inspect(&process).queues()).await.expect("the queues can be told");
    let names: Vec<_> = queues.iter().map(|stats| stats.name.as_str()).collect();
    assert_eq!(names, ["audit", "audit.dead", "mail", "mail.dead"]);
    for stats in queues {
        assert_eq!(counts(&stats), [Some(0), Some(0), Some(0)], "{}", stats.name);
        assert_eq!(stats.oldest_ready, None, "{}", stats.name);
    }
}

pub(super) async fn queues_are_counted_by_state(bench: Bench) {
    let process = bench.open_mail().await;
    let observer = bench.open().await;
    process.send_mail("runs").await;
    let running = run_one(&process).await;
    process.send(&mail(), &process.delayed("later", bench.delay())).await;
    process.send(&mail(), &process.delayed("later", bench.delay() * 3)).await;
    let oldest = process.send_mail("ready").await;
    process.send_mail("ready").await;
    process.send_mail("ready").await;
    let seen = stats(&observer, &mail()).await;
    assert_eq!(counts(&seen), [Some(3), Some(2), Some(1)]);
    assert_eq!(seen.oldest_ready, Some(oldest.runnable_since()));

    settle(running, Outcome::Release).await;
    bench.pass(bench.delay()).await;
    assert_eq!(counts(&stats(&observer, &mail()).await), [Some(5), Some(1), Some(0)]);
    let delivery = run_one(&process).await;
    settle(delivery, Outcome::Dead { envelope: oldest }).await;
    assert_eq!(counts(&stats(&observer, &mail()).await), [Some(4), Some(1), Some(0)]);
    assert_eq!(counts(&stats(&observer, &mail().dead()).await), [Some(1), Some(0), Some(0)]);
}

pub(super) async fn what_is_not_due_is_counted_over_all_queues(bench: Bench) {
    let process = bench.open_mail().await;
    process.declare(Topology::default().queue(queue("audit"))).await;
    let count = async || eventually("delayed", inspect(&process).delayed()).await.expect("it can be told");
    assert_eq!(count().await, Some(0));
    for (queue, hours) in [(mail(), 1), (mail(), 48), (queue("audit"), 1)] {
        process.send(&queue, &process.delayed("later", Duration::from_secs(hours * 3600))).await;
    }
    process.send_mail("ready").await;
    assert_eq!(count().await, Some(3));
}

pub(super) async fn the_oldest_ready_waits_since_it_was_due(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    process.send(&mail(), &sent).await;
    assert_eq!(stats(&process, &mail()).await.oldest_ready, None);
    bench.pass(bench.delay() * 2).await;
    assert_eq!(stats(&process, &mail()).await.oldest_ready, sent.not_before);
}

pub(super) async fn peek_shows_what_waits_and_takes_nothing(bench: Bench) {
    let process = bench.open_mail().await;
    let observer = bench.open().await;
    process.send_mail("runs").await;
    let running = run_one(&process).await;
    let later = process.delayed("later", bench.delay());
    process.send(&mail(), &later).await;
    let now = process.send_mail("now").await;
    for _ in 0..2 {
        assert_eq!(peek(&observer, &mail(), EVERYTHING).await, [now.clone(), later.clone()]);
    }
    done(running).await;
    let mut reader = process.read_mail().await;
    reader.finish_exactly(&[&now]).await;
    assert_eq!(peek(&observer, &mail(), EVERYTHING).await, [later]);
}

pub(super) async fn peek_turns_pages(bench: Bench) {
    let process = bench.open_mail().await;
    let mut sent = Vec::new();
    for number in 0..10 {
        sent.push(process.send_mail(&number.to_string()).await);
    }
    for (offset, limit) in [(0, 4), (4, 4), (8, 4), (12, 4), (3, 0), (0, 10)] {
        let expected: Vec<_> = sent.iter().skip(offset).take(limit).cloned().collect();
        assert_eq!(peek(&process, &mail(), Page { offset, limit }).await, expected, "{offset}, {limit}");
    }
}

pub(super) async fn an_unknown_queue_has_nothing_to_show(bench: Bench) {
    let process = bench.open().await;
    assert_eq!(peek(&process, &queue("nobody"), EVERYTHING).await, []);
    assert!(take(&process, &queue("nobody"), Which::First(10)).await.is_empty());
}

pub(super) async fn a_waiting_job_is_cancelled_by_its_id(bench: Bench) {
    let process = bench.open_mail().await;
    let operator = bench.open().await;
    let other = process.send_mail("other").await;
    let cancelled = process.send_mail("cancelled").await;
    let mut taken = take(&operator, &mail(), Which::Id(cancelled.id.clone())).await;
    assert_eq!(taken.len(), 1, "{taken:?}");
    let delivery = taken.remove(0);
    assert_eq!((&delivery.envelope, &delivery.queue), (&cancelled, &mail()));
    let mut reader = process.read_mail().await;
    reader.finish_exactly(&[&other]).await;
    done(delivery).await;
    reader.nothing_else().await;
}

pub(super) async fn a_delayed_job_is_cancelled_by_its_id(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    process.send(&mail(), &sent).await;
    let mut taken = take(&process, &mail(), Which::Id(sent.id.clone())).await;
    assert_eq!(taken.len(), 1, "{taken:?}");
    done(taken.remove(0)).await;
    bench.pass(bench.delay()).await;
    process.read_mail().await.nothing_else().await;
}

pub(super) async fn a_taken_delayed_job_that_is_released_is_not_early(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    process.send(&mail(), &sent).await;
    settle(take(&process, &mail(), Which::First(1)).await.remove(0), Outcome::Release).await;
    let mut reader = process.read_mail().await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn a_running_job_cannot_be_taken(bench: Bench) {
    let process = bench.open_mail().await;
    let operator = bench.open().await;
    let sent = process.send_mail("hello").await;
    let running = run_one(&process).await;
    assert!(take(&operator, &mail(), Which::Id(sent.id.clone())).await.is_empty());
    assert!(take(&operator, &mail(), Which::First(10)).await.is_empty());
    done(running).await;
    assert!(take(&operator, &mail(), Which::Id(sent.id)).await.is_empty());
}

pub(super) async fn an_id_is_taken_from_its_own_queue_only(bench: Bench) {
    let process = bench.open_mail().await;
    process.declare(Topology::default().queue(queue("images"))).await;
    let sent = process.send_mail("hello").await;
    process.send(&queue("images"), &sent).await;
    done(take(&process, &queue("images"), Which::Id(sent.id.clone())).await.remove(0)).await;
    process.read_mail().await.finish_exactly(&[&sent]).await;
    process.read(&queue("images")).await.nothing_else().await;
}

pub(super) async fn the_first_are_taken_in_order(bench: Bench) {
    let process = bench.open_mail().await;
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(process.send_mail(&number.to_string()).await);
    }
    let taken = take(&process, &mail(), Which::First(3)).await;
    assert_eq!(taken.iter().map(|delivery| &delivery.envelope).collect::<Vec<_>>(), [&sent[0], &sent[1], &sent[2]]);
    assert!(take(&process, &mail(), Which::First(0)).await.is_empty());
    process.read_mail().await.finish_exactly(&[&sent[3], &sent[4]]).await;
    for delivery in taken {
        settle(delivery, Outcome::Release).await;
    }
    process.read_mail().await.finish_exactly(&[&sent[0], &sent[1], &sent[2]]).await;
}

pub(super) async fn a_dead_operator_gives_back_what_it_took(bench: Bench) {
    let process = bench.open_mail().await;
    let operator = bench.open().await;
    let sent = process.send_mail("hello").await;
    let taken = take(&operator, &mail(), Which::First(1)).await;
    assert_eq!(taken.len(), 1);
    bench.kill(operator).await;
    process.read_mail().await.finish_exactly(&[&sent]).await;
}

pub(super) async fn a_job_is_found_in_each_of_its_states(bench: Bench) {
    let process = bench.open_mail().await;
    let observer = bench.open().await;
    let found = |queue: QueueName, state: JobState, envelope: &Envelope| {
        Some(Found { queue, state, envelope: envelope.clone() })
    };
    let mut job = process.delayed("hello", bench.delay());
    assert_eq!(find(&observer, &job.id).await, None);
    process.send(&mail(), &job).await;
    let due = job.not_before.expect("it is delayed");
    assert_eq!(find(&observer, &job.id).await, found(mail(), JobState::Delayed(due), &job));
    bench.pass(bench.delay()).await;
    assert_eq!(find(&observer, &job.id).await, found(mail(), JobState::Ready, &job));
    let running = run_one(&process).await;
    assert_eq!(find(&observer, &job.id).await, found(mail(), JobState::Running, &job));
    job.declare_dead(process.now(), DeathReason::Attempts, "boom");
    settle(running, Outcome::Dead { envelope: job.clone() }).await;
    assert_eq!(find(&observer, &job.id).await, found(mail().dead(), JobState::Dead, &job));
    done(take(&observer, &mail().dead(), Which::Id(job.id.clone())).await.remove(0)).await;
    assert_eq!(find(&observer, &job.id).await, None);
}

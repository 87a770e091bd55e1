//! Four schedulers that come and go: each tick has its job once.

use std::time::Duration;

use job_core::broker::{Fire, Outgoing};
use job_core::clock::later;
use job_core::schedule::Schedule;
use job_core::{JobId, QueueName};
use job_worker::WorkerBuilder;

use crate::crew::{Beat, Crew, Store, at, key};

const PERIOD: Duration = Duration::from_secs(20);
const TICKS: u32 = 1000;

fn every_20_s(worker: WorkerBuilder) -> WorkerBuilder {
    worker.schedule("beat", Schedule::every(PERIOD), || Beat)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_ticks_of_four_schedulers_run_once_each() {
    for store in Store::exact("2026-11-24T00:00:00Z") {
        let crew = Crew::new(store).await;
        let mut members = Vec::new();
        for _ in 0..4 {
            members.push(crew.hire(every_20_s).await);
        }
        crew.until_known("beat").await;
        let start = crew.clock.now();
        let expected: Vec<JobId> = (1..=TICKS).map(|n| key("beat").tick_id(later(start, PERIOD * n))).collect();
        for (n, id) in expected.iter().enumerate() {
            // Some go in an orderly way, some are killed; whoever leads is among them sooner or later.
            if n % 50 == 49 {
                let member = members.remove(0);
                if n % 100 == 99 {
                    member.stop().await
                } else {
                    member.kill()
                }
                members.push(crew.hire(every_20_s).await);
            }
            crew.advance(PERIOD);
            crew.until(&format!("run {n}"), || crew.ran.count(id) > 0).await;
        }
        for member in members {
            member.stop().await;
        }
        assert!(crew.ran.all() == expected, "each once, in their order; {} runs", crew.ran.all().len());
        assert_eq!(crew.fired.all().len(), expected.len(), "nothing else was fired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_fire_of_a_finished_tick_is_stale() {
    for store in Store::exact("2026-11-24T00:00:00Z") {
        let crew = Crew::new(store).await;
        let member = crew.hire(every_20_s).await;
        crew.until_known("beat").await;
        crew.advance(PERIOD);
        let (tick, id) = (crew.clock.now(), key("beat").tick_id(crew.clock.now()));
        crew.until("the run", || crew.ran.count(&id) > 0).await;
        member.stop().await;
        // Somebody who was held up since before that tick now fires it.
        let client = &crew.client;
        let leader = client.broker().lead("schedules.shop").await.unwrap().expect("nobody leads");
        let late = client.enqueue(Beat).id(&id.to_string()).into_message().unwrap();
        let late = Outgoing::to_queue(QueueName::parse("default").unwrap(), late.envelope);
        assert_eq!(leader.fire(&key("beat").to_string(), tick, late).await.unwrap(), Fire::Stale);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_leader_is_followed_at_once() {
    for store in Store::exact("2026-11-24T00:00:00Z") {
        let crew = Crew::new(store).await;
        let first = crew.hire(every_20_s).await;
        crew.until_known("beat").await;
        let second = crew.hire(every_20_s).await;
        first.stop().await;
        // Time stands still: a follower that only tried again after a while would never lead.
        let schedules = crew.client.schedules();
        let id = schedules.run("beat").await.unwrap();
        crew.until("a run that was asked for", || crew.ran.count(&id) > 0).await;
        second.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_that_was_asked_for_gets_its_job_whatever_the_clock_shows() {
    for store in Store::exact("2026-11-24T12:00:00Z") {
        let crew = Crew::new(store).await;
        let first = crew.hire(every_20_s).await;
        crew.until_known("beat").await;
        first.stop().await;
        let schedules = crew.client.schedules();
        // In one moment, while nobody leads; and then by a clock that was set back.
        let mut asked = vec![schedules.run("beat").await.unwrap(), schedules.run("beat").await.unwrap()];
        let second = crew.hire(every_20_s).await;
        crew.until("both runs", || asked.iter().all(|id| crew.ran.count(id) == 1)).await;
        crew.clock.set_wall(at("2026-11-24T09:00:00Z"));
        asked.push(schedules.run("beat").await.unwrap());
        crew.until("the run of an earlier hour", || crew.ran.count(&asked[2]) == 1).await;
        second.stop().await;
        assert!(asked.iter().all(|id| crew.ran.count(id) == 1), "each once");
    }
}

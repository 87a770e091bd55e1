//! Delayed jobs of any length, over stops, deaths and clocks that are set: never early, and late by the outage only.

use std::time::Duration;

use job_core::JobId;
use job_core::clock::{Clock, Timestamp, later};

use crate::crew::{Beat, Crew, Member, Store};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

const START: &str = "2026-11-24T09:30:00Z";

impl Crew {
    async fn delay(&self, delay: Duration) -> JobId {
        self.client.enqueue(Beat).delay(delay).await.unwrap()
    }

    /// Lets time go by until that moment.
    fn go_to(&self, at: Timestamp) {
        self.advance((at - self.clock.now()).to_std().unwrap());
    }

    /// Gives the worker every chance to run what it takes for due: jobs without a delay run meanwhile, and the wheel of
    /// RabbitMQ turns, which it does each second.
    async fn look_around(&self) {
        let turned = Clock::system().monotonic() + Duration::from_secs(3);
        for _ in 0..3 {
            let marker = self.client.enqueue(Beat).await.unwrap();
            self.until("a job without a delay", || self.ran.count(&marker) == 1).await;
            if matches!(self.store, Store::Rabbitmq(..)) {
                self.until("a turn of the wheel", || Clock::system().monotonic() > turned).await;
            }
        }
    }

    async fn assert_waits(&self, id: &JobId) {
        self.look_around().await;
        assert_eq!(self.ran.count(id), 0, "it ran by {}", self.clock.now());
    }

    async fn assert_runs(&self, id: &JobId) {
        self.until("the end of the delay", || self.ran.count(id) == 1).await;
    }

    /// Stops it, or kills it, and has another one take its place after so long.
    async fn replace(&self, member: Member, is_orderly: bool, outage: Duration) -> Member {
        if is_orderly {
            member.stop().await;
        } else {
            member.kill();
        }
        self.advance(outage);
        self.hire(|worker| worker).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_of_any_length_is_never_early_and_late_by_the_outage_only() {
    for store in Store::all(START) {
        let crew = Crew::new(store).await;
        let mut member = crew.hire(|worker| worker).await;
        crew.look_around().await;
        let start = crew.clock.now();
        let mut delayed = Vec::new();
        for delay in [3 * MINUTE, 5 * HOUR, 3 * DAY, 400 * DAY] {
            delayed.push((later(start, delay), crew.delay(delay).await));
        }
        for (number, (due, id)) in delayed.iter().enumerate() {
            crew.go_to(*due - MINUTE);
            crew.assert_waits(id).await;
            // The first and the third come on time, behind a stop and a death in the middle; the others in an outage.
            let outage = if number % 2 == 0 { Duration::ZERO } else { HOUR };
            member = crew.replace(member, number % 3 == 0, outage).await;
            if number % 2 == 0 {
                crew.assert_waits(id).await;
                crew.go_to(later(*due, Duration::from_secs(1)));
            }
            crew.assert_runs(id).await;
        }
        crew.look_around().await;
        member.stop().await;
        assert!(delayed.iter().all(|(_, id)| crew.ran.count(id) == 1), "each once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_follows_a_clock_that_is_set() {
    for store in Store::all(START) {
        let crew = Crew::new(store).await;
        let member = crew.hire(|worker| worker).await;
        crew.look_around().await;
        let (short, long) = (crew.delay(2 * HOUR).await, crew.delay(30 * HOUR).await);
        // As if somebody slept for three hours.
        crew.clock.set_wall(crew.clock.now() + 3 * HOUR);
        crew.assert_runs(&short).await;
        crew.assert_waits(&long).await;
        let (due, again) = (later(crew.clock.now(), 2 * HOUR), crew.delay(2 * HOUR).await);
        crew.clock.set_wall(crew.clock.now() - 3 * HOUR);
        // By the clock it is five hours until then.
        crew.assert_waits(&again).await;
        crew.advance(3 * HOUR);
        crew.assert_waits(&again).await;
        let member = crew.replace(member, true, Duration::ZERO).await;
        crew.go_to(due - MINUTE);
        crew.assert_waits(&again).await;
        crew.go_to(later(due, Duration::from_secs(1)));
        crew.assert_runs(&again).await;
        crew.advance(30 * HOUR);
        crew.assert_runs(&long).await;
        crew.look_around().await;
        member.stop().await;
        assert_eq!(crew.ran.count(&short), 1, "a clock that is set back repeats nothing");
    }
}

//! What becomes of ticks that nobody fired in time, of clocks that are set, and of schedules that pause.

use std::sync::atomic::Ordering;
use std::time::Duration;

use job_core::JobId;
use job_core::schedule::{Missed, Overlap, Schedule};
use job_worker::{Scheduling, WorkerBuilder};

use crate::crew::{Beat, Crew, Store, at, key};

const HOUR: Duration = Duration::from_secs(3600);

fn marked(worker: WorkerBuilder) -> WorkerBuilder {
    worker.scheduling(Scheduling::Only).schedule("zz-marker", Schedule::cron("@yearly"), || Beat)
}

fn hourly(missed: Missed) -> Schedule {
    Schedule::cron("0 * * * *").missed(missed)
}

fn policies(worker: WorkerBuilder) -> WorkerBuilder {
    marked(worker)
        .schedule("all", hourly(Missed::All(10)), || Beat)
        .schedule("last-two", hourly(Missed::All(2)), || Beat)
        .schedule("once", hourly(Missed::Once), || Beat)
        .schedule("skip", hourly(Missed::Skip), || Beat)
}

impl Crew {
    /// Returns which ticks of a schedule were fired, of those at these times.
    fn fired_of(&self, name: &str, times: &[&str]) -> Vec<String> {
        let is_fired = |time: &&&str| self.fired.count(&key(name).tick_id(at(time))) > 0;
        times.iter().filter(is_fired).map(ToString::to_string).collect()
    }

    fn assert_nothing_twice(&self) {
        let mut fired: Vec<JobId> = self.fired.all();
        let count = fired.len();
        fired.sort_unstable();
        fired.dedup();
        assert_eq!(fired.len(), count, "a tick was fired twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_ticks_run_as_their_policies_say() {
    for store in Store::all("2026-11-24T09:30:00Z") {
        let crew = Crew::new(store).await;
        let member = crew.hire(policies).await;
        crew.settle().await;
        member.stop().await;
        crew.advance(HOUR * 3);
        let member = crew.hire(policies).await;
        crew.settle().await;
        crew.advance(HOUR / 2);
        crew.settle().await;
        member.stop().await;
        let [ten, eleven, noon, one] = [10, 11, 12, 13].map(|hour| format!("2026-11-24T{hour}:00:00Z"));
        let all = [&*ten, &eleven, &noon, &one];
        assert_eq!(crew.fired_of("all", &all), all);
        assert_eq!(crew.fired_of("last-two", &all), [&*eleven, &noon, &one]);
        assert_eq!(crew.fired_of("once", &all), [&*noon, &one]);
        assert_eq!(crew.fired_of("skip", &all), [&*one]);
        // Of the three: none, one, two, and all of them.
        assert_eq!(crew.skipped.load(Ordering::Relaxed), 6);
        crew.assert_nothing_twice();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_takes_no_tick_for_missed_that_was_fired() {
    let often = |worker| marked(worker).schedule("often", Schedule::every(Duration::from_secs(20)), || Beat);
    for store in Store::all("2026-11-24T09:30:00Z") {
        let crew = Crew::new(store).await;
        let member = crew.hire(often).await;
        crew.settle().await;
        // Within the minute for which the leader writes no more than its first tick down.
        for _ in 0..3 {
            crew.advance(Duration::from_secs(20));
            crew.settle().await;
        }
        member.kill();
        let member = crew.hire(often).await;
        crew.settle().await;
        member.stop().await;
        let ticks = ["2026-11-24T09:30:20Z", "2026-11-24T09:30:40Z", "2026-11-24T09:31:00Z"];
        assert_eq!(crew.fired_of("often", &ticks), ticks);
        assert_eq!(crew.skipped.load(Ordering::Relaxed), 0, "ticks were said to have got no job");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_makes_no_burst_and_loses_no_day() {
    for store in Store::all("2026-11-24T00:30:00Z") {
        let crew = Crew::new(store).await;
        let schedules = |worker| {
            marked(worker).schedule("daily", Schedule::cron("0 3 * * *"), || Beat).schedule(
                "hourly",
                hourly(Missed::Once),
                || Beat,
            )
        };
        let member = crew.hire(schedules).await;
        crew.settle().await;
        for hour in 0..72 {
            match hour {
                5 => crew.clock.set_wall(crew.clock.now() + HOUR * 3),
                30 => crew.clock.set_wall(crew.clock.now() - HOUR * 3),
                _ => {}
            }
            let before = crew.fired.all().len();
            crew.settle().await;
            let burst = crew.fired.all().len() - before - 1;
            assert!(burst <= 2, "{burst} jobs at once in hour {hour}");
            crew.advance(HOUR);
            crew.settle().await;
        }
        member.stop().await;
        let days = ["2026-11-24T03:00:00Z", "2026-11-25T03:00:00Z", "2026-11-26T03:00:00Z"];
        assert_eq!(crew.fired_of("daily", &days), days);
        crew.assert_nothing_twice();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_ticks_back_and_its_end_makes_up_for_none() {
    for store in Store::all("2026-11-24T09:30:00Z") {
        let crew = Crew::new(store).await;
        let member = crew.hire(policies).await;
        crew.settle().await;
        let schedules = crew.client.schedules();
        assert!(schedules.pause("all").await.unwrap());
        assert!(!schedules.pause("all").await.unwrap(), "it pauses already");
        crew.settle().await;
        crew.advance(HOUR * 2);
        crew.settle().await;
        assert!(schedules.resume("all").await.unwrap());
        crew.settle().await;
        crew.advance(HOUR);
        crew.settle().await;
        member.stop().await;
        let times = ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z"];
        assert_eq!(crew.fired_of("all", &times), times[2..]);
        assert!(schedules.pause("unknown").await.unwrap_err().is_invalid());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_is_left_out_while_the_job_before_it_has_not_ended() {
    // RabbitMQ cannot look for a job by its id.
    for store in Store::exact("2026-11-24T09:30:00Z") {
        let crew = Crew::new(store).await;
        let schedules = |worker| {
            marked(worker).schedule("patient", hourly(Missed::Once).overlap(Overlap::Skip), || Beat).schedule(
                "pushing",
                hourly(Missed::Once),
                || Beat,
            )
        };
        // Nobody runs jobs here: the one of ten o'clock waits until it is cancelled.
        let member = crew.hire(schedules).await;
        crew.settle().await;
        for _ in 0..2 {
            crew.advance(HOUR);
            crew.settle().await;
        }
        let client = &crew.client;
        assert!(client.cancel(&key("patient").tick_id(at("2026-11-24T10:00:00Z"))).await.unwrap());
        crew.advance(HOUR);
        crew.settle().await;
        member.stop().await;
        let times = ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z"];
        assert_eq!(crew.fired_of("patient", &times), [times[0], times[2]]);
        assert_eq!(crew.fired_of("pushing", &times), times);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_makes_changes_and_removes_schedules_while_workers_run() {
    for store in Store::all("2026-11-24T09:30:00Z") {
        let crew = Crew::new(store).await;
        let member = crew.hire(marked).await;
        crew.settle().await;
        let schedules = crew.client.schedules();
        schedules.upsert("made", hourly(Missed::Once), Beat).await.unwrap();
        crew.settle().await;
        crew.advance(HOUR);
        crew.settle().await;
        // From now on at half past: no tick of that was missed.
        schedules.upsert("made", Schedule::cron("30 * * * *"), Beat).await.unwrap();
        crew.settle().await;
        crew.advance(HOUR);
        crew.settle().await;
        assert!(schedules.remove("made").await.unwrap());
        assert!(!schedules.remove("made").await.unwrap());
        crew.settle().await;
        crew.advance(HOUR);
        crew.settle().await;
        member.stop().await;
        let hours = ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z"];
        let halves = ["2026-11-24T10:30:00Z", "2026-11-24T11:30:00Z", "2026-11-24T12:30:00Z"];
        assert_eq!(crew.fired_of("made", &hours), hours[..1]);
        assert_eq!(crew.fired_of("made", &halves), halves[1..2]);
        let error = schedules.remove("zz-marker").await.unwrap_err();
        assert!(error.to_string().contains("stands in a worker's code"), "{error}");
    }
}

//! What the derive makes of schedules: registry entries, each with its name, its policies and a way to make the job.

use std::time::Duration;

use job_core::schedule::{LinkedSchedule, Missed, Overlap, Schedule};
use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Default, Job, Serialize, Deserialize)]
#[job(cron = "0 3 * * *", tz = "Europe/Berlin", missed = "all(3)", overlap = "skip")]
#[job(cron = "@hourly", queue = "reports")]
#[job(every = "5m", jitter = "20s", missed = "skip")]
struct Report {}

#[derive(Job, Serialize, Deserialize)]
#[job(every = "1m", schedule_with = Sync::all)]
struct Sync {
    what: String,
}

impl Sync {
    fn all() -> Self {
        Self { what: "all".into() }
    }
}

impl Perform for Report {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

impl Perform for Sync {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

#[test]
fn each_schedule_is_found_by_its_name() {
    let mut found: Vec<(String, Schedule)> = LinkedSchedule::linked().map(|s| (s.name(), s.schedule())).collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let expected = [
        ("report", Schedule::cron("0 3 * * *").zone("Europe/Berlin").missed(Missed::All(3)).overlap(Overlap::Skip)),
        ("report.2", Schedule::cron("@hourly")),
        ("report.3", Schedule::every(minutes(5)).jitter(Duration::from_secs(20)).missed(Missed::Skip)),
        ("sync", Schedule::every(minutes(1))),
    ];
    assert_eq!(found, expected.map(|(name, schedule)| (name.to_owned(), schedule)));
}

#[test]
fn jobs_are_made_by_default_or_by_the_function() {
    let made = |name: &str| {
        let schedule = LinkedSchedule::linked().find(|s| s.name() == name).unwrap();
        String::from_utf8((schedule.make)().payload().unwrap()).unwrap()
    };
    assert_eq!(made("report.2"), "{}");
    assert_eq!(made("sync"), r#"{"what":"all"}"#);
}

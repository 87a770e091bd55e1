use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Default, Job, Serialize, Deserialize)]
#[job(every = "0s", missed = "all(0)")]
#[job(every = "400d", jitter = "2d")]
#[job(every = "5m", tz = "UTC", jitter = "500ms")]
#[job(cron = "@daily", tz = "UTC", tz = "Europe/Berlin", jitter = "0s", missed = "all(1001)")]
struct Report {}

impl Perform for Report {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}

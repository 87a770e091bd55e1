use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Default, Job, Serialize, Deserialize)]
#[job(tz = "Europe/Berlin", cron = "0 3 * * *")]
struct Report {}

impl Perform for Report {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}

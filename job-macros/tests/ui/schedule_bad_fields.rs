use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Default, Job, Serialize, Deserialize)]
#[job(cron = "0 0 0 1 1 * 9999")]
#[job(cron = "0 0 31 2,4,6 *")]
#[job(cron = "")]
#[job(cron = "* * *")]
#[job(cron = "@often")]
#[job(cron = r"*/0 * * * *")]
#[job(cron = 5)]
struct Report {}

impl Perform for Report {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}

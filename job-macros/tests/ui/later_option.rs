use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(cron = "0 8 * * *")]
struct Mail {
    to: String,
}

impl Perform for Mail {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}

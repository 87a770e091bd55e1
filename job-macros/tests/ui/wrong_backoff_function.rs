use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

fn slow(attempt: u32) -> u32 {
    attempt
}

#[derive(Job, Serialize, Deserialize)]
#[job(backoff = slow)]
struct Mail {
    to: String,
}

impl Perform for Mail {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}


use job_core::{Context, Job, JobError, Perform, PerformBlocking};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Mail {
    to: String,
}

impl Perform for Mail {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

impl PerformBlocking for Mail {
    fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}

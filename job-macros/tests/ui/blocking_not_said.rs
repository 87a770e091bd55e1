use job_core::{Context, Job, JobError, PerformBlocking};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Mail {
    to: String,
}

impl PerformBlocking for Mail {
    fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}

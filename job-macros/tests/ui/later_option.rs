use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(unique)]
struct Mail {
    to: String,
}

impl Perform for Mail {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}

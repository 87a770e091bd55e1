use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Mail<T> {
    to: T,
}

impl Perform for Mail<String> {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}
